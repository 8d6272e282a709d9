"""Read a log with another library and number its users and items; print one JSON line.

It stands alone and runs in the rival's own environment, as `python loaders.py NAME FILES...` with
NAME one of pandas, polars, duckdb, recbole. `interest bench build --rival NAME=PYTHON` calls it.
"""

import argparse
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

IDS = ("user_id", "item_id", "domain")


def with_pandas(files):
    import pandas as pd

    frame = pd.concat([pd.read_csv(file, dtype=dict.fromkeys(IDS, str)) for file in files])
    codes = {name: pd.factorize(frame[name]) for name in IDS}
    return "read_csv, factorize of three columns", {
        n: len(values) for n, (_, values) in codes.items()
    }


def with_polars(files):
    import polars as pl

    frame = pl.read_csv(files, schema_overrides=dict.fromkeys(IDS, pl.String))
    codes = frame.select(pl.col(name).cast(pl.Categorical).to_physical() for name in IDS)
    return "read_csv, three categoricals", {name: codes[name].n_unique() for name in IDS}


def with_duckdb(files):
    import duckdb

    types = dict.fromkeys(IDS, "VARCHAR")
    duckdb.sql(f"create table log as select * from read_csv({files}, types={types})")
    for name in IDS:
        duckdb.sql(
            f"create table {name}s as select {name}, row_number() over (order by {name}) as code "
            f"from (select distinct {name} from log)"
        )
    duckdb.sql(
        "create table coded as select u.code as u, i.code as i, d.code as d, timestamp from log "
        + " ".join(f"join {name}s {name[0]} using ({name})" for name in IDS)
    )
    sizes = {name: duckdb.sql(f"select count(*) from {name}s").fetchall()[0][0] for name in IDS}
    return "read_csv, three tables of ids, joins", sizes


def with_recbole(files):
    from recbole.config import Config
    from recbole.data import create_dataset

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "log" / "log.inter"
        target.parent.mkdir()
        with target.open("w") as out:
            out.write("user_id:token,item_id:token,domain:token,timestamp:float\n")
            for file in files:
                with open(file) as lines:
                    next(lines)
                    out.writelines(lines)
        given = {"data_path": folder, "field_separator": ",", "state": "error"}
        given["load_col"] = {"inter": [*IDS, "timestamp"]}
        sys.argv = sys.argv[:1]
        dataset = create_dataset(Config(model="BPR", dataset="log", config_dict=given))
    return "its atomic file, then create_dataset", {n: dataset.num(n) - 1 for n in IDS}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[n[5:] for n in list(globals()) if n.startswith("with_")])
    parser.add_argument("files", nargs="+")
    name, files = vars(parser.parse_args()).values()
    what, sizes = globals()[f"with_{name}"](files)
    version = f"{name} {importlib.metadata.version(name)}"
    print(json.dumps({"system": version, "what": what, "sizes": sizes}))
