"""A file behind an address, over real connections: asked for once, bounded, from hosts that may be asked."""

from __future__ import annotations

import gzip
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelloop.data.adapters import http
from modelloop.data.adapters.reading import Reading, read_new
from modelloop.data.records import Taken
from modelloop.data.settings import Format, Mode, SourceKind, SourceSettings
from modelloop.data.sources.secrets import Secrets
from modelloop.ground.core.errors import AddressRefused, DataRefused, StoreUnavailable
from modelloop.ground.store import outward

HIDDEN = "geheim-token-1"


@dataclass
class Page:
    body: bytes = b"a\n1\n"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Site:
    pages: dict[str, list[Page]]
    address: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site({})

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            pages = made.pages.get(self.path, [Page(b"", 404)])
            page = pages.pop(0) if len(pages) > 1 else pages[0]
            unchanged = (
                page.headers.get("ETag") is not None and self.headers.get("If-None-Match") == page.headers["ETag"]
            )
            self.send_response(304 if unchanged else page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(page.length if page.length is not None else len(page.body)))
            self.end_headers()
            if not unchanged:
                self.wfile.write(page.body)

        def log_message(self, *said: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        made.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE", 0.001)


def source(url: str, **said: Any) -> SourceSettings:
    given = {"dataset": "rows", "contract": "rows", "kind": SourceKind.HTTP, "format": Format.CSV, "mode": Mode.REPLACE}
    return SourceSettings(**given | {"url": url, "private_network": True} | said)


def read(asked: SourceSettings, *known: Taken, cursor: Any = None, **environ: str) -> Reading:
    names = {one.name: (one,) for one in known}
    secrets = Secrets(environ, Path("/nowhere"))
    return read_new(
        "feed",
        asked,
        root=Path("/nowhere"),
        known=names,
        cursor=cursor,
        secrets=secrets,
        dataset_rows=lambda _: ("", pl.LazyFrame()),
    )


def values(reading: Reading) -> list[str]:
    (item,) = reading.items
    return pl.concat(item.batches())["a"].to_list()


def test_what_did_not_change_is_not_sent_again(site: Site) -> None:
    site.pages["/x/a.csv"] = [Page(headers={"ETag": '"1"', "Last-Modified": "Tue, 01 Jan 2013 00:00:00 GMT"})]
    asked = source(f"{site.address}/x/a.csv")
    first = read(asked)
    assert (first.items[0].name, values(first)) == ("a.csv", ["1"])
    cursor = first.cursor_after()
    again = read(asked, cursor=cursor)
    assert (again.items, again.cursor_after()) == ([], cursor)
    assert site.asked[-1][1]["if-none-match"] == '"1"'
    site.pages["/x/a.csv"] = [Page(b"a\n2\n", headers={"ETag": '"2"'})]
    assert values(read(asked, cursor=cursor)) == ["2"]
    site.pages["/x/a.csv"] = [Page(headers={"ETag": '"3"'})]
    assert read(asked, first.items[0].taken, cursor=cursor).items == [], "the same content under another tag"
    assert read(source(f"{site.address}/x/a.csv", mode=Mode.APPEND)).items[0].name.endswith("-a.csv")


def test_packed_answers_are_unpacked(site: Site) -> None:
    site.pages["/a.csv.gz"] = [Page(gzip.compress(b"a\n1\n"))]
    site.pages["/b.csv"] = [Page(gzip.compress(b"a\n2\n"), headers={"Content-Encoding": "gzip"})]
    site.pages["/c.csv"] = [Page(b"xx", headers={"Content-Encoding": "br"})]
    site.pages["/d.csv"] = [Page(gzip.compress(bytes(2**27)), headers={"Content-Encoding": "gzip"})]
    assert values(read(source(f"{site.address}/a.csv.gz"))) == ["1"]
    assert values(read(source(f"{site.address}/a.csv.gz", mode=Mode.APPEND))) == ["1"]
    assert values(read(source(f"{site.address}/b.csv"))) == ["2"]
    with pytest.raises(DataRefused, match="answered in 'br'"):
        read(source(f"{site.address}/c.csv"))
    with pytest.raises(DataRefused, match="zip bomb"):
        read(source(f"{site.address}/d.csv"))
    with pytest.raises(DataRefused, match=r"more than 1,000 bytes|larger than 1,000 bytes"):
        read(source(f"{site.address}/d.csv", max_bytes=1000))


def test_no_more_is_read_than_allowed(site: Site) -> None:
    site.pages["/a.csv"] = [Page(b"a\n" + b"1\n" * 1000)]
    with pytest.raises(DataRefused, match="larger than 100 bytes"):
        read(source(f"{site.address}/a.csv", max_bytes=100))


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again_and_not_for_ever(site: Site, status: int) -> None:
    site.pages["/a.csv"] = [Page(b"", status), Page(b"", status), Page()]
    assert values(read(source(f"{site.address}/a.csv"))) == ["1"]
    site.pages["/a.csv"] = [Page(b"", status)]
    site.asked.clear()
    with pytest.raises(StoreUnavailable, match=f"answers {status}"):
        read(source(f"{site.address}/a.csv"))
    assert len(site.asked) == http.TRIES


def test_what_is_refused_is_not_asked_again(site: Site) -> None:
    for status in (401, 403, 404, 400):
        site.pages["/a.csv"] = [Page(b"", status)]
        site.asked.clear()
        with pytest.raises(DataRefused, match=f"answered {status}"):
            read(source(f"{site.address}/a.csv"))
        assert len(site.asked) == 1


def test_an_answer_that_breaks_off_is_no_answer(site: Site) -> None:
    site.pages["/a.csv"] = [Page(b"a\n1\n", length=10)]
    with pytest.raises(StoreUnavailable, match="no answer"):
        read(source(f"{site.address}/a.csv"))


def test_redirects_are_checked_hop_by_hop(site: Site) -> None:
    site.pages["/a.csv"] = [Page(b"", 302, {"Location": "/b.csv"})]
    site.pages["/b.csv"] = [Page()]
    site.pages["/loop"] = [Page(b"", 302, {"Location": "/loop"})]
    site.pages["/file"] = [Page(b"", 302, {"Location": "file:///etc/passwd"})]
    site.pages["/away"] = [Page(b"", 302, {"Location": site.address.replace("127.0.0.1", "localhost") + "/b.csv"})]
    named = {"token": "TOKEN"}
    assert values(read(source(f"{site.address}/a.csv", secrets=named), TOKEN=HIDDEN)) == ["1"]
    assert site.asked[-1][1]["authorization"] == f"Bearer {HIDDEN}"
    assert values(read(source(f"{site.address}/away", secrets=named), TOKEN=HIDDEN)) == ["1"]
    assert "authorization" not in site.asked[-1][1], "another host gets no token"
    with pytest.raises(DataRefused, match="sent on more than 5 times"):
        read(source(f"{site.address}/loop"))
    with pytest.raises(AddressRefused, match="no http or https address"):
        read(source(f"{site.address}/file"))


def test_a_redirect_into_a_private_network_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/a.csv"] = [Page(b"", 302, {"Location": "http://169.254.169.254/latest"})]
    checked = outward._checked

    def public_first(host: str, *, private: bool, hint: str) -> str:
        return "127.0.0.1" if host == "public.test" else checked(host, private=private, hint=hint)

    monkeypatch.setattr(outward, "_checked", public_first)
    port = site.address.rpartition(":")[2]
    with pytest.raises(AddressRefused, match=r"169\.254\.169\.254, which is not a public address"):
        read(source(f"http://public.test:{port}/a.csv", private_network=False))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
def test_private_hosts_are_refused_unless_allowed(host: str) -> None:
    with pytest.raises(AddressRefused, match=r"not a public address.*private_network = true"):
        read(source(f"http://{host}:9/a.csv", private_network=False))


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/a.csv"] = [Page()]
    asked: list[str] = []

    def once(host: str) -> Any:
        asked.append(host)
        assert len(asked) == 1, "looked up once only: a second answer could be another"
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    def look_up(host: str, *rest: Any, **more: Any) -> Any:
        return once(host) if host == "rebinding.test" else [(2, 1, 6, "", (host, rest[0]))]

    port = site.address.rpartition(":")[2]
    with monkeypatch.context() as patched:
        patched.setattr("socket.getaddrinfo", look_up)
        assert values(read(source(f"http://rebinding.test:{port}/a.csv"))) == ["1"]
    assert site.asked[-1][1]["host"] == f"rebinding.test:{port}"


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        ({"token": "TOKEN"}, ("authorization", f"Bearer {HIDDEN}")),
        ({"password": "TOKEN"}, ("authorization", "Basic OmdlaGVpbS10b2tlbi0x")),
        ({"header:X-Key": "TOKEN"}, ("x-key", HIDDEN)),
    ],
)
def test_credentials_are_sent_and_never_shown(site: Site, named: dict[str, str], sent: tuple[str, str]) -> None:
    site.pages["/a.csv"] = [Page()]
    assert values(read(source(f"{site.address}/a.csv", secrets=named), TOKEN=HIDDEN)) == ["1"]
    assert site.asked[-1][1][sent[0]] == sent[1]
    for page in (Page(b"", 500), Page(b"", 401), Page(b"x", length=9)):
        site.pages["/a.csv"] = [page]
        with pytest.raises((StoreUnavailable, DataRefused)) as caught:
            read(source(f"{site.address}/a.csv", secrets=named), TOKEN=HIDDEN)
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.as_json())
        assert HIDDEN not in told
        assert sent[1] not in told
    with pytest.raises(AddressRefused, match="holds api_key"):
        read(source(f"{site.address}/a.csv?api_key={HIDDEN}"))


def test_a_server_that_is_away_is_told(site: Site) -> None:
    with pytest.raises(StoreUnavailable, match="got no answer"):
        read(source("http://127.0.0.1:9/a.csv"))
