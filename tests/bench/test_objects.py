import re
from pathlib import Path
from xml.etree import ElementTree

from bench.objects import LISTED, UPLOADS, content, listed_keys, object_keys, upload_keys, write_listings, write_objects


def test_one_file_stands_under_all_its_names(tmp_path: Path) -> None:
    write_objects(tmp_path, 1024)
    files = [tmp_path / "bench" / object_key for object_key in object_keys(1024)]
    assert all(file.stat().st_size == 1024 for file in files)
    assert len({file.stat().st_ino for file in files}) == 1
    assert files[-1].read_bytes() == content(1024)


def test_there_are_hundreds_of_names_and_sizes_do_not_share_them() -> None:
    assert len(set(object_keys(1024))) >= 200
    assert not set(object_keys(1024)) & set(object_keys(1 << 20))


def test_uploads_have_as_many_names_as_a_load_generator_can_hold_and_some_always() -> None:
    assert len(upload_keys(1024)) == len(object_keys(1024))
    assert len(upload_keys(1 << 20)) << 20 == UPLOADS
    assert len(set(upload_keys(64 << 20))) == 4
    assert not set(upload_keys(1024)) & set(object_keys(1024))


def test_content_is_the_same_in_each_run_and_differs_by_size() -> None:
    assert content(1024) == content(1024)
    assert content(2048)[:1024] != content(1024)


def test_an_object_may_have_no_bytes(tmp_path: Path) -> None:
    write_objects(tmp_path, 0)
    assert (tmp_path / "bench" / object_keys(0)[-1]).read_bytes() == b""


def test_a_page_lists_a_hundred_keys_in_order_and_its_owners_where_asked(tmp_path: Path) -> None:
    write_listings(tmp_path)
    for name, owners in [("list.xml", 0), ("list-owners.xml", LISTED)]:
        page = (tmp_path / name).read_text()
        listed = ElementTree.fromstring(page).iterfind("{*}Contents/{*}Key")
        assert [element.text for element in listed] == listed_keys()
        assert len(re.findall("<Owner>", page)) == owners
    assert listed_keys() == sorted(listed_keys())
    assert len(listed_keys()) == LISTED == 100
