"""Rules that people write: if a user has this, favour that."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
import pydantic

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.rules.applying import RuleBook
from gnn.rules.language import read_rules
from gnn.rules.terms import LEVELS
from gnn.rules.writing import mine_table, rules_file
from graphgen.config import Config
from graphgen.errors import ConfigError

__all__ = ["Rules", "RulesConfig"]

logger = logging.getLogger(__name__)


class RulesConfig(Config):
    """Settings of `Rules`."""

    file: str | None = None
    """Rule file, TOML; see `interest rules check`. Without one, rules are mined from the graph."""
    per_pair: int = pydantic.Field(200, ge=1)
    """Mined rules of each level from a domain to a domain."""
    fdr: float = pydantic.Field(0.05, gt=0, le=1)
    """False discovery rate of mined rules."""


class Rules(Model):
    r"""Rank items by popularity and the rules of a file.

    The score is log2(1 + likes of the item) + the weights of the rules that fire for the user and
    name the item: a weight of 1 counts as twice as many likes, -1 as half. Of the rules that name
    an item only those with the highest priority count. Without a file, the rules are the most
    significant ones of `association`, as `interest rules mine` writes them. O(users · rules) and
    the favoured items.

    Examples
    --------
    >>> import pandas as pd, graphgen, pathlib, tempfile
    >>> log = pd.DataFrame({"user_id": list("aabb"), "item_id": list("xyxz"), "domain": "book"})
    >>> path = pathlib.Path(tempfile.mkdtemp(), "rules.toml")
    >>> _ = path.write_text('[[rules]]\nif = {item = "x"}\nthen = {item = "z"}\nweight = 3')
    >>> model = Rules(file=str(path)).fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["a"], k=1).item_id.tolist()
    ['z']
    """

    name: ClassVar[str] = "rules"
    random = False
    Config = RulesConfig
    learned = ("text_",)  # The file as UTF-8: the model keeps its rules.

    def _fit(self, data: TrainingData, **_: Any) -> None:
        config = self.config
        if config.file is not None:
            text = read_rules(config.file)
        else:
            options = {"levels": LEVELS, "per_pair": config.per_pair, "fdr": config.fdr}
            try:
                text = rules_file(mine_table(data, within=True, **options), data)
            except ConfigError as error:
                logger.warning("%s Items are ranked by popularity.", error)
                text = ""
        self.text_ = np.frombuffer(text.encode(), dtype=np.uint8).copy()

    def _set_up(self) -> None:
        text = bytes(self.text_).decode()
        origin = self.config.file or "mined rules"
        self.book = RuleBook(text, self.data, origin) if text else None

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        likes = np.log2(1.0 + self.data.popularity[self.data.span(domain)])
        favoured = self.book.scores(users, domain) if self.book else np.zeros((len(users), 1))
        return np.asarray(favoured + likes, dtype=np.float32)
