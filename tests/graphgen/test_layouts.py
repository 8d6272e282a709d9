# ruff: noqa: E501 (lines of files)
"""Each layout of public data sets on files made by us in it."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from graphgen.errors import InputError
from graphgen.importing import import_data
from graphgen.inspection import inspect_files
from graphgen.log_files import read_log
from graphgen.reading.layouts.registry import LAYOUTS
from graphgen.tables import read_items, read_users


def as_lines(*objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


REVIEW = {"reviewerID": "A1", "asin": "0001", "overall": 5.0, "unixReviewTime": 1400000000}
REVIEW_2023 = {"user_id": "AX", "asin": "B1", "parent_asin": "B0", "rating": 4.0}
BOOK = {"book_id": "7", "title": "Dune", "description": "Sand,\n\nspice", "authors": []}
SHELVES = [{"count": "9", "name": "to-read"}, {"count": "5", "name": "sci-fi"}]
RATED = {"review_id": "r", "user_id": "u", "business_id": "b", "stars": 4.0, "text": "x"}
GRAPHSTORM = {
    "version": "gconstruct-v0.1",
    "nodes": [
        {"node_type": "user", "node_id_col": "id", "files": ["users.csv"]},
        {"node_type": "movie", "node_id_col": "id", "files": "m/movies.csv",
         "format": {"name": "csv", "separator": ";"}},
        {"node_type": "genre", "files": "none.csv"},
    ],
    "edges": [
        {"relation": ["user", "rates", "movie"], "source_id_col": "s", "dest_id_col": "d",
         "files": "edges*.csv"},
        {"relation": ["movie", "rev-rates", "user"], "source_id_col": "d", "dest_id_col": "s",
         "files": ["edges1.csv", "edges2.csv"]},
    ],
}  # fmt: skip
DGL = """dataset_name: shop
edge_data:
- {file_name: e.csv, etype: [user, buys, book]}
- {file_name: f.csv, etype: [user, follows, user]}
node_data:
- {file_name: n.csv, ntype: book}
"""
UNKNOWN = "1|Toy Story (1995)|1995||url|" + "|".join("01" + "0" * 17) + "\n"

# Files by name, and the tables that they become.
CASES = {
    "movielens 25M": (
        "movielens",
        {
            "ml/ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,964982703\n9,3,5,964982704\n",
            "ml/movies.csv": 'movieId,title,genres\n2,"Alien, ""A"" (1979)",Horror|Sci-Fi\n'
            "3,B,(no genres listed)\n",
            "ml/tags.csv": "userId,movieId,tag,timestamp\n1,2,Space,1\n9,2,dark,1\n9,2,space,1\n",
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\n1,2,movies,964982703,3.5\n"
            "9,3,movies,964982704,5\n",
            "items": "item_id,domain,title,text,category\n"
            '2,movies,"Alien, ""A"" (1979)","space, dark",Horror|Sci-Fi\n3,movies,B,,\n',
        },
    ),
    "movielens 1M": (
        "movielens",
        {
            "ratings.dat": "1::2::5::978300760\n",
            "movies.dat": "2::Misérables::Drama\n".encode("latin-1"),
            "users.dat": "1::F::25::10::48067\n",
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\n1,2,movies,978300760,5\n",
            "items": "item_id,domain,title,category\n2,movies,Misérables,Drama\n",
            "users": "user_id,gender,age,occupation,zip\n1,F,25,10,48067\n",
        },
    ),
    "movielens 100K": (
        "movielens",
        {"u.data": "1\t1\t5\t881250949\n", "u.item": UNKNOWN, "u.user": "1|24|M|technician|85711\n"},
        {
            "log": "user_id,item_id,domain,timestamp,rating\n1,1,movies,881250949,5\n",
            "items": "item_id,domain,title,category,release\n"
            "1,movies,Toy Story (1995),Action,1995\n",
            "users": "user_id,age,gender,occupation,zip\n1,24,M,technician,85711\n",
        },
    ),
    "amazon 2014": (
        "amazon",
        {
            "reviews_Books_5.json": as_lines(REVIEW, {**REVIEW, "reviewerID": "A2"}),
            "meta_Books.json": "{'asin': '0001', 'title': \"It's\", 'price': 3.5, 'categories': "
            "[['Books', 'Novels'], ['Books', 'War']], 'brand': None}\n{'asin': '0001'}\n",
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\nA1,0001,books,1400000000,5\n"
            "A2,0001,books,1400000000,5\n",
            "items": "item_id,domain,title,text,category,brand,price\n"
            "0001,books,It's,,Novels|War,,3.5\n",
        },
    ),
    "amazon 2018": (
        "amazon",
        {
            "Books.json": as_lines({**REVIEW, "vote": "1,234"}),
            "meta_Books.json": as_lines(
                {"asin": "0001", "title": "T", "description": ["a", "b"], "brand": "X",
                 "category": ["Books", "War"], "price": "$1,002.00"},
                {"asin": "2", "title": "U", "description": "", "price": ".a-box-inner{}"},
            ),
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\nA1,0001,books,1400000000,5\n",
            "items": "item_id,domain,title,text,category,brand,price\n"
            "0001,books,T,a b,War,X,1002.00\n2,books,U,,,,\n",
        },
    ),
    "amazon 2023": (
        "amazon",
        {
            "All_Beauty.jsonl": as_lines({**REVIEW_2023, "timestamp": 1588687728923}),
            "meta_All_Beauty.jsonl": as_lines(
                {"main_category": "All Beauty", "title": "Comb", "description": [], "price": None,
                 "store": "S", "categories": [], "parent_asin": "B0"},
            ),
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\nAX,B0,all_beauty,1588687728923,4\n",
            "items": "item_id,domain,title,text,category,brand,price\n"
            "B0,all_beauty,Comb,,All Beauty,S,\n",
        },
    ),
    "amazon ratings of 2014": (
        "amazon",
        {"ratings_Books.csv": "AH2L9G3DQHHAJ,0000000116,4.0,1019865600\n"},
        {"log": "user_id,item_id,domain,timestamp,rating\nAH2L9G3DQHHAJ,0000000116,books,1019865600,4.0\n"},
    ),
    "amazon ratings of 2018": (
        "amazon",
        {"Books.csv": "0001713353,A1C6M8LCIX4M6M,5.0,1123804800\n"},
        {"log": "user_id,item_id,domain,timestamp,rating\nA1C6M8LCIX4M6M,0001713353,books,1123804800,5.0\n"},
    ),
    "recbole": (
        "recbole",
        {
            "shop.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t4\t9e8\n",
            "shop.item": "item_id:token\tmovie_title:token_seq\tclass:token_seq\tyear:float\n"
            '2\tThe "A" Team\tWar Drama\t1999\n',
            "shop.user": "user_id:token\tage:float\n1\t30\n",
            "shop.net": "source_id:token\ttarget_id:token\n1\t2\n",
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\n1,2,shop,9e8,4\n",
            "items": "item_id,domain,title,category,year\n"
            '2,shop,"The ""A"" Team",War|Drama,1999\n',
            "users": "user_id,age\n1,30\n",
            "social": "user_id,friend_id\n1,2\n",
        },
    ),
    "goodreads": (
        "goodreads",
        {
            "goodreads_interactions.json": as_lines(
                {"user_id": "u", "book_id": "7", "is_read": True, "rating": 5,
                 "date_added": "Tue Oct 17 09:40:11 -0700 2017"},
                {"user_id": "u", "book_id": "8", "is_read": False, "rating": 0,
                 "date_added": "Sun Jan 01 00:00:00 +0100 2012"},
            ),
            "goodreads_books.json": as_lines(
                {**BOOK, "popular_shelves": SHELVES}, {**BOOK, "book_id": "8", "popular_shelves": []}
            ),
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating,event\n"
            "u,7,books,2017-10-17T09:40:11-07:00,5,read\n"
            "u,8,books,2012-01-01T00:00:00+01:00,,shelved\n",
            "items": "item_id,domain,title,text,category,author\n"
            '7,books,Dune,"Sand, spice",sci-fi,\n8,books,Dune,"Sand, spice",,\n',
        },
    ),
    "goodreads csv": (
        "goodreads",
        {
            "goodreads_interactions.csv": "user_id,book_id,is_read,rating,is_reviewed\n0,9,1,5,0\n",
            "book_id_map.csv": "book_id_csv,book_id\n9,777\n",
        },
        {"log": "user_id,item_id,domain,rating,event\n0,777,books,5,read\n"},
    ),
    "yelp": (
        "yelp",
        {
            "y_review.json": as_lines({**RATED, "date": "2018-07-07 22:09:11"}),
            "y_business.json": as_lines(
                {"business_id": "b", "name": "Bar", "categories": "Food, Bars", "city": "X",
                 "state": "PA"},
                {"business_id": "c", "name": "Inn", "categories": None, "city": "X", "state": "PA"},
            ),
            "y_user.json": as_lines(
                {"user_id": "u", "yelping_since": "2007-01-25", "review_count": 2,
                 "friends": "v, w"},
                {"user_id": "v", "yelping_since": "2009-01-25", "review_count": 1,
                 "friends": "None"},
            ),
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\nu,b,businesses,2018-07-07 22:09:11,4\n",
            "items": "item_id,domain,title,category,city,state\nb,businesses,Bar,Food|Bars,X,PA\n"
            "c,businesses,Inn,,X,PA\n",
            "users": "user_id,review_count,yelping_since\nu,2,2007-01-25\nv,1,2009-01-25\n",
            "social": "user_id,friend_id\nu,v\nu,w\n",
        },
    ),
    "lastfm hetrec": (
        "lastfm",
        {
            "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n",
            "artists.dat": "id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://a\thttp://b\n",
            "tags.dat": "tagID\ttagValue\n1\tpop \n",
            "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\n2\t51\t1\t1\t4\t2009\n",
            "user_friends.dat": "userID\tfriendID\n2\t275\n",
        },
        {
            "log": "user_id,item_id,domain,weight\n2,51,music,13883\n",
            "items": "item_id,domain,title,text\n51,music,Duran Duran,pop\n",
            "social": "user_id,friend_id\n2,275\n",
        },
    ),
    "lastfm 360K": (
        "lastfm",
        {
            "usersha1-artmbid-artname-plays.tsv": 'u\tm1\tThe "X"\t9\nu\t\tnameless\t1\nv\tm1\tThe "X"\t2\n',
            "usersha1-profile.tsv": "u\tf\t22\tGermany\tFeb 1, 2007\n",
        },
        {
            "log": "user_id,item_id,domain,weight\nu,m1,music,9\nu,nameless,music,1\nv,m1,music,2\n",
            "items": 'item_id,domain,title\nm1,music,"The ""X"""\nnameless,music,nameless\n',
            "users": 'user_id,gender,age,country,signup\nu,f,22,Germany,"Feb 1, 2007"\n',
        },
    ),
    "douban": (
        "douban",
        {
            "bookreviews_cleaned.txt": '"user_id"\t"book_id"\t"rating"\t"labels"\t"comment"\t"time"\t"ID"\n'
            '"1"\t"5"\t"4"\t"a|b"\t"好\n书"\t"2014-01-05"\t"0"\n',
            "movies_cleaned.txt": 'movie_id\tname\tdirector\tsummary\ttag\tUID\n9\t活着\t张\t好\t"[\'a\', \'b\']"\t3\n',
            "users_cleaned.txt": "user_id\tliving_place\tjoin_time\tself_statement\tUID\nx\t北京\t2009-01-01\t你好\t1\n",
        },
        {
            "log": "user_id,item_id,domain,timestamp,rating\n1,5,books,2014-01-05,4\n",
            "items": "item_id,domain,title,text,category,director\n3,movies,活着,好,a|b,张\n",
            "users": "user_id,place,joined,text\n1,北京,2009-01-01,你好\n",
        },
    ),
    "lightgcn": (
        "lightgcn",
        {
            "gowalla/train.txt": "0 5 6\n1 5\n2\n",
            "gowalla/test.txt": "0 7\n",
            "gowalla/item_list.txt": "org_id remap_id\n9781 5\n",
        },
        {
            "log": "user_id,item_id,domain,split\n0,7,gowalla,test\n0,5,gowalla,train\n"
            "0,6,gowalla,train\n1,5,gowalla,train\n",
            "items": "item_id,domain,org_id\n5,gowalla,9781\n",
        },
    ),
    "graphstorm": (
        "graphstorm",
        {
            "config.json": json.dumps(GRAPHSTORM, indent=1),
            "users.csv": "id,age\nu,3\n",
            "m/movies.csv": "id;title;year\na;Alien;1979\n",
            "edges1.csv": "s,d,rate\nu,a,5\n",
            "edges2.csv": "s,d,rate\nv,a,1\n",
        },
        {
            "log": "user_id,item_id,domain,rating\nu,a,movie,5\nv,a,movie,1\n",
            "items": "item_id,domain,title,year\na,movie,Alien,1979\n",
            "users": "user_id,age\nu,3\n",
        },
    ),
    "dgl": (
        "graphstorm",
        {
            "meta.yaml": DGL,
            "e.csv": "src_id,dst_id,time\n1,2,1400000000\n",
            "f.csv": "src_id,dst_id\n1,3\n",
            "n.csv": 'node_id,feat\n2,"1,2"\n',
        },
        {
            "log": "user_id,item_id,domain,timestamp\n1,2,book,1400000000\n",
            "items": 'item_id,domain,feat\n2,book,"1,2"\n',
            "social": "user_id,friend_id\n1,3\n",
        },
    ),
    "tables": (
        "table",
        {
            "a.csv": "customer;asin;stars\n007;NA;5\n",
            "b.jsonl": as_lines({"item_id": "NA", "title": "x"}),
            "c.tsv": "user_id\tgroup\n007\told\n",
            "d.csv": "user_id,friend_id\n007,8\n",
        },
        {
            "log": "user_id,item_id,domain,rating\n007,NA,items,5\n",
            "items": "item_id,domain,title\nNA,items,x\n",
            "users": "user_id,group\n007,old\n",
            "social": "user_id,friend_id\n007,8\n",
        },
    ),
}  # fmt: skip


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


# A configuration names its files with their suffixes, which the others may lack.
ZIPPED = [(case, zipped) for case in CASES for zipped in (False, CASES[case][0] != "graphstorm")]


@pytest.mark.parametrize(("case", "zipped"), dict.fromkeys(ZIPPED))
def test_a_layout_becomes_tables_that_are_read(tmp_path, case, zipped):
    kind, files, expected = CASES[case]
    source = write(tmp_path / "in", files)
    if zipped:
        for path in [path for path in source.rglob("*") if path.is_file()]:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    out = tmp_path / "out"
    report = import_data(kind, source, out=out)
    found = {path.stem: path.read_text(encoding="utf-8") for path in out.glob("*.csv")}
    assert found == expected
    assert report.unused == []
    log = read_log(out / "log.csv")
    assert (log.n_users, log.n_items) == (report.users, report.items)
    readers = {"items": read_items, "users": read_users}
    for name in readers.keys() & expected:
        assert len(readers[name](out / f"{name}.csv")) == expected[name].count("\n") - 1
    if kind != "table":
        found = inspect_files(source)
        assert (found.kind, found.command.split()[:3]) == (kind, ["interest", "import", kind])


def test_every_layout_has_a_case():
    assert {kind for kind, *_ in CASES.values()} | {"ciao"} == set(LAYOUTS)


def test_matlab_files(tmp_path):
    ratings = np.array([[1, 2, 3, 4, 5, 1_100_000_000], [2, 2, 12, 1, 0, 1_000_000_000]])
    savemat(tmp_path / "rating_with_timestamp.mat", {"rating": ratings})
    savemat(tmp_path / "rating.mat", {"rating": ratings[:, :5]})
    savemat(tmp_path / "trustnetwork.mat", {"trustnetwork": np.array([[1, 2]])})
    report = import_data("ciao", tmp_path, out=tmp_path / "out")
    assert (tmp_path / "out/log.csv").read_text() == (
        "user_id,item_id,domain,timestamp,rating,helpfulness\n"
        "1,2,cat03,1100000000,4,5\n2,2,cat12,1000000000,1,0\n"
    )
    assert (tmp_path / "out/social.csv").read_text() == "user_id,friend_id\n1,2\n"
    assert [Path(name).name for name in report.unused] == ["rating.mat"]
    (tmp_path / "rating.mat").write_bytes(b"no matrix")
    with pytest.raises(InputError, match="no MATLAB file"):
        import_data("ciao", tmp_path / "rating.mat", out=tmp_path / "other")


def test_epinions_has_spans_and_no_times(tmp_path):
    savemat(tmp_path / "r.mat", {"rating": np.array([[1, 2, 3, 4, 5, 11], [1, 3, 3, 4, 5, 2]])})
    import_data("ciao", tmp_path, out=tmp_path / "out")
    assert read_log(tmp_path / "out/log.csv").frame.position.tolist() == [11, 2]
