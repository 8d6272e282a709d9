from .card import Card as Card
from .card import NewInterests as NewInterests
from .card import card as card
from .card import new_interests as new_interests
from .drifting import change_points as change_points
from .drifting import drift as drift
from .drifting import evolution as evolution
from .expansion import Expansions as Expansions
from .expansion import expand as expand
from .interests import Interests as Interests
from .profiling import Profiler as Profiler
from .profiling import profile as profile
from .reranking import Reranker as Reranker
from .reranking import rerank as rerank
from .sentences import sentence as sentence

__all__ = [
    "Card",
    "Expansions",
    "Interests",
    "NewInterests",
    "Profiler",
    "Reranker",
    "card",
    "change_points",
    "drift",
    "evolution",
    "expand",
    "new_interests",
    "profile",
    "rerank",
    "sentence",
]
