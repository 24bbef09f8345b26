"""How the page is served: to everybody, with a strict policy, and nothing but the files of its bundle."""

import gzip
import re
from pathlib import Path

import pytest

import headrace.api
from tests.api.servers import job

BUILT = Path(headrace.api.__file__).with_name("page_files") / "index.html"
pytestmark = pytest.mark.skipif(not BUILT.is_file(), reason="the page is not built: scripts/install says why")

BROWSER = {"Accept": "text/html,*/*"}


def parts_of(html):
    return re.findall(r'(?:src|href)="\./(ui/[^"]+)"', html)


def test_the_page_is_shown_with_a_policy_that_allows_nothing_from_elsewhere(second):
    page = second.ask("GET", "/", headers=BROWSER)
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    assert f'content="{nonce}"' in page.content.decode()
    assert nonce not in second.ask("GET", "/", headers=BROWSER).headers["content-security-policy"]


def test_its_parts_are_packed_and_may_be_kept(second):
    names = parts_of(second.get("/").content.decode())
    assert names
    for name in names:
        part = second.get(f"/{name}")
        assert (part.status, part.headers["content-encoding"]) == (200, "gzip")
        assert "immutable" in part.headers["cache-control"]
        assert gzip.decompress(part.content)
    assert second.get("/ui/nothing.js").status == 404
    assert second.get("/ui/../openapi.json").status == 404


@pytest.mark.parametrize("base", ["", "/st"])
def test_who_is_not_known_gets_the_page_and_nothing_else(start, base):
    server = start(env={"HEADRACE_TOKEN": "t0ken", "HEADRACE_HTTP_CONTEXT_PATH": base}).second()
    page = server.get(f"{base}/")
    assert page.status == 200
    assert all(server.get(f"{base}/{name}").status == 200 for name in parts_of(page.content.decode()))
    for path in ("jobs", "whoami", "openapi.json", "docs"):
        assert server.get(path).status == 401
    quiet = server.ask("GET", "whoami", headers={"X-Requested-With": "headrace"})
    assert (quiet.status, "www-authenticate" in quiet.headers) == (401, False)
    known = server.ask("GET", "whoami", headers={"Authorization": "Bearer t0ken"})
    assert known.json == {"role": "operator", "login": True}


def test_v1_answers_what_the_page_asks_for_only_where_no_v2_is_on(start, server):
    alone = start(env={"HEADRACE_HTTP_ENABLED": "false"})
    assert '"root"' in alone.ask("GET", "/", headers=BROWSER).content.decode()
    number = alone.submit(job(1))
    for path in ("jobs", "plugins", "rates", "whoami", f"job-files/{number}", "resource/workers"):
        assert alone.get(path).status == 200
        assert server.get(path).status == 404


def test_the_file_of_a_job_is_kept_without_its_secrets_and_with_that_of_the_run_before(start):
    server = start()
    view = server.second()
    text = """env {{ job.mode = BATCH, job.name = kept, shade.identifier = base64, shade.options = [table] }}
source {{ FakeSource {{ row.num = {rows}, schema {{ fields {{ a = int }} }} }} }}
sink {{ Jdbc {{ url = "jdbc:sqlite:/nowhere/x.db"
  table = "aGlkZGVu", generate_sink_sql = true, user = "dQ==", password = "c2VjcmV0LXdvcmQ=" }} }}
"""
    ids = []
    for rows in (1, 2):
        answer = view.ask("POST", "submit-job", text.format(rows=rows), query={"format": "hocon"})
        assert answer.status == 200, answer.content
        ids.append(int(answer.json["jobId"]))
        view.wait(ids[-1])
    kept = view.get(f"job-files/{ids[1]}").json
    assert "row.num = 2" in kept["file"]["text"]
    assert (kept["before"]["jobId"], "row.num = 1" in kept["before"]["text"]) == (str(ids[0]), True)
    for secret in ("c2VjcmV0LXdvcmQ=", "secret-word", "aGlkZGVu", "hidden"):
        assert secret not in str(kept)
    assert view.get(f"job-files/{ids[0]}").json["before"] is None
    assert view.get("job-files/5").status == 404
    server.stop()
    again = server.start().second()
    assert again.get(f"job-files/{ids[1]}").json == kept
