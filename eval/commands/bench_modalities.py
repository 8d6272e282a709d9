"""`interest bench modalities`: what each modality of the items adds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import say


@options.with_tables
def bench_modalities(
    context: Context,
    tables: options.TableOptions,
    train: Annotated[list[str], Option(help="Training rows; repeatable.", show_default=False)],
    test: Annotated[list[str], Option(help="Test rows; repeatable.", show_default=False)],
    items: Annotated[list[str], Option(help="Items with their modalities.", show_default=False)],
    vectors: Annotated[
        list[str] | None,
        Option(metavar="NAME=FILE.npy", help="Vectors made elsewhere, as in `interest build`."),
    ] = None,
    media: Annotated[Path | None, Option(help="Folder of pictures and sound files.")] = None,
    encoder: Annotated[str, Option(help="Text encoder.")] = "minilm",
    model: Annotated[str, Option(help="The model that is trained.")] = "interest-gnn",
    k: Annotated[int, Option("-k", help="Length of the lists.")] = 20,
    seeds: Annotated[str, Option(help="Comma-separated.")] = "0",
    set_: options.Set = None,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
) -> None:
    """Train a model with all modalities, with noise in the place of each, and with edges of each.

    \b
    interest bench modalities --train train.csv --test test.csv --items items.csv \\
        --vectors vggish=vggish.npy --vectors whisper=whisper.npy --seeds 0,1,2
    """
    from eval.benchmarks.modalities import measure_modalities
    from eval.commands.console import show_differences
    from graphgen.build import BuildConfig
    from graphgen.config import parse_assignments
    from graphgen.log_files import read_log
    from graphgen.storage import write_table
    from graphgen.tables import read_items

    options.check_outputs(context, train, test, items, vectors, suffixes=(".csv",))
    config = BuildConfig.make(
        encoder=encoder, media=media, vectors=options.named_paths(vectors, "--vectors")
    )
    known, truth = (read_log(*parts, progress=True, **tables.read) for parts in (train, test))
    described = read_items(*items, **tables.read)
    tables.check()
    found = measure_modalities(
        known,
        truth,
        described,
        config=config,
        model=model,
        settings=parse_assignments(set_ or []),
        k=k,
        seeds=options.seed_numbers(seeds) or [0],
        on_run=lambda name, result: say(f"{name}: recall@{k} {result.value(f'recall@{k}'):.4f}"),
    ).table
    show_differences(found, "minus all modalities")
    if out is not None:
        write_table(found, out)
