from __future__ import annotations

import pandas as pd
import pytest

from graphgen.errors import BadRowsError, ConfigError, InputError
from graphgen.tables import ItemTable, UserTable, read_items, read_users


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_items_have_all_columns_and_keep_the_rest(tmp_path):
    path = write(tmp_path / "items.csv", "ITEM_ID,domain,Title,price\n007, films ,红楼梦,\n")
    items = read_items(path)
    assert items.frame.to_dict("records") == [
        {
            "item_id": "007", "domain": "films", "title": "红楼梦", "text": "", "category": "",
            "price": "",
        }
    ]  # fmt: skip
    assert set(map(str, items.frame.dtypes)) == {"str"}
    assert items.report.items == 1
    assert items == ItemTable(items.frame)


def test_domains_come_from_the_source_or_the_default(tmp_path):
    path = write(tmp_path / "items.csv", "item_id,title\n1,Dune\n")
    assert read_items(path).domains == ["items"]
    assert read_items(f"books={path}", {"films": path}).domains == ["books", "films"]
    with pytest.raises(InputError, match="the domain 'user'"):
        read_items(f"user={path}")


def test_of_one_item_the_first_row_that_says_anything_is_kept():
    items = ItemTable(
        pd.DataFrame(
            {
                "item_id": ["1", "2", "1", "1", "2"],
                "domain": ["a", "a", "a", "a", "b"],
                "title": ["", "x", "one", "two", "y"],
            }
        )
    )
    assert items.frame[["domain", "item_id", "title"]].to_numpy().tolist() == [
        ["a", "2", "x"],
        ["a", "1", "one"],
        ["b", "2", "y"],
    ]
    assert items.report.duplicates == 2


@pytest.mark.parametrize(
    ("title", "text", "category", "expected"),
    [
        ("Dune", "A planet.", "sf", "Dune. A planet."),
        ("Who?", "A question.", "", "Who? A question."),
        ("三体", "科幻。", "", "三体. 科幻。"),
        ("Dune", "", "sf", "Dune"),
        ("", "A planet.", "sf", "A planet."),
        ("", "", "sf", "sf"),
        ("", "", "", ""),
        ("Dune", "dune", "", "dune"),
        ("DUNE", "The dune sea", "", "The dune sea"),
        ("Sedu Flat Iron 1.5 Inch", "sedu flat iron", "", "Sedu Flat Iron 1.5 Inch"),
    ],
)
def test_text_of(title, text, category, expected):
    row = {"item_id": ["1"], "title": [title], "text": [text], "category": [category]}
    assert ItemTable(pd.DataFrame(row)).text_of().tolist() == [expected]


def test_text_of_no_items_and_missing_columns():
    assert ItemTable(pd.DataFrame({"item_id": []})).text_of().tolist() == []
    assert ItemTable(pd.DataFrame({"item_id": [1], "title": [None]})).text_of().tolist() == [""]


def test_bad_rows_and_columns(tmp_path):
    path = write(tmp_path / "items.csv", 'item_id,title\n1,"a\nb"\n,x\n2,y,z\n')
    with pytest.raises(BadRowsError) as error:
        read_items(path)
    assert [(row.line, row.column) for row in error.value.rows] == [(4, "item_id"), (5, "")]
    aside = tmp_path / "aside.csv"
    items = read_items(path, on_bad_rows="quarantine", quarantine=aside)
    assert (len(items), items.report.bad) == (1, 2)
    assert items.frame.title.tolist() == ["a\nb"]
    assert pd.read_csv(aside).line.tolist() == [4, 5]
    with pytest.raises(InputError, match=r"no column 'item_id'.*--column item_id=NAME"):
        read_items(write(tmp_path / "b.csv", "Kode,title\n1,x\n"))
    with pytest.raises(ConfigError, match="an item table has no column 'titel' to map; did you"):
        read_items(path, columns={"titel": "x"})


def test_tables_cannot_be_changed():
    items = ItemTable(pd.DataFrame({"item_id": ["1"]}))
    frame = items.frame
    frame["title"] = "x"
    assert items.frame.title.tolist() == [""]
    assert items != ItemTable(frame)
    assert items != UserTable(pd.DataFrame({"user_id": ["1"]}))


def test_users(tmp_path):
    path = write(tmp_path / "users.csv", "uid,Group,age\n1,cold,30\n2,,40\n1,warm,30\n")
    users = read_users(path, columns={"user_id": "uid"})
    assert users.frame.to_dict("list") == {
        "user_id": ["1", "2"], "group": ["cold", ""], "age": ["30", "40"]
    }  # fmt: skip
    assert users.report.duplicates == 1
    assert repr(users) == "UserTable(2 users in 1 group)"
    with pytest.raises(BadRowsError, match=r"users.csv, line 3, column 'user_id'"):
        read_users(write(path, "user_id,group\n1,a\n,b\n"))


def test_a_list_of_users(tmp_path):
    path = write(tmp_path / "users.txt", "user_id\n007\n\n8\n")
    assert read_users(path).frame.user_id.tolist() == ["007", "8"]


def test_items_without_a_known_text_column_are_told(tmp_path, caplog):
    path = tmp_path / "items.csv"
    path.write_text("item_id,course name\n1,Law\n")
    read_items(f"courses={path}")
    assert "The items of courses have no title, text or category. If one of 'course name'" in (
        caplog.text
    )
    caplog.clear()
    read_items(f"courses={path}?title=course name")
    assert not caplog.text
