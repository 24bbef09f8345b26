"""What a person sees and does on the page."""

import json
import re
import time
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from headrace.jobs.record import JobText
from headrace.jobs.status import JobStatus
from headrace.jobs.store import store_in
from tests.api.servers import Server
from tests.api.test_own_commands import run_people

ENDLESS = """
env { job.mode = STREAMING, job.name = "%s", checkpoint.interval = 2000, read_limit.rows_per_second = 200 }
source { FakeSource { plugin_output = fake, row.num = 10000000
  schema { fields { id = bigint, name = string } } } }
transform { Sql { plugin_input = fake, plugin_output = big, query = "select id, upper(name) as name from fake" } }
sink { Console { plugin_input = big, log.print.data = false } }
"""


def url(server):
    second = server.second()
    return f"http://127.0.0.1:{second.port}{second.base}/"


def submit(server, text):
    answer = server.second().ask("POST", "submit-job", text, query={"format": "hocon"})
    assert answer.status == 200, answer.content
    return int(answer.json["jobId"])


@pytest.fixture(scope="package")
def bad_job(server, tmp_path_factory):
    """A job that set two rows aside and failed, since one is allowed."""
    file = tmp_path_factory.mktemp("rows") / "people.csv"
    file.write_text("1,ann,12\n2,bob,x\n3,cy,9\n4,dee,zz\n")
    found = submit(
        server,
        f"""env {{ job.mode = BATCH, job.name = "people", error_handler {{ mode = LOG, max_error_records = 1 }} }}
source {{ LocalFile {{ path = "{file}", file_format_type = csv
  schema {{ fields {{ id = bigint, name = string, age = int }} }} }} }}
sink {{ Console {{ }} }}
""",
    )
    assert server.second().wait(found)["jobStatus"] == "FAILED"
    return found


@pytest.fixture(scope="package")
def endless(server):
    found = submit(server, ENDLESS % "orders")
    server.second().wait(found, "RUNNING", seconds=120)
    return found


VIEWS = {
    "overview": ("/", "Nodes"),
    "jobs": ("/jobs", "orders"),
    "job": ("/job/{endless}", "From source to sink"),
    "delivery": ("/job/{bad}/delivery", "Delivery"),
    "checkpoints": ("/job/{endless}/checkpoints", "When they were taken"),
    "bad-rows": ("/job/{bad}/bad-rows", "2,bob,x"),
    "log": ("/job/{bad}/log", "Init JobMaster"),
    "file": ("/job/{bad}/file", "secrets masked"),
    "configuration": ("/job/{endless}/configuration", "checkpoint.interval"),
    "new": ("/new", "Nothing is wrong"),
    "plugins": ("/plugins", "FakeSource"),
    "plugin": ("/plugins/sink/Jdbc", "generate_sink_sql"),
    "api": ("/api", "/submit-job/upload"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_shows_its_matter_without_a_serious_fault(server, visit, endless, bad_job, scheme):
    looked = visit(url(server), color_scheme=scheme)
    faults = {}
    for name, (view, text) in VIEWS.items():
        page = looked.open(view.format(endless=endless, bad=bad_job))
        expect(page.get_by_text(text).first).to_be_visible()
        if scheme == "light" and name in ("overview", "jobs", "job", "bad-rows", "new"):
            page.wait_for_timeout(1500)
            looked.shot(name)
        assert looked.unstyled() == [], name
        if name != "api" and (found := looked.faults()):  # Swagger UI's own markup is not ours
            faults[name] = found
    assert not faults, json.dumps(faults, indent=1)


PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
ZOOMED = {"viewport": {"width": 320, "height": 200}}
"""A window of 1280 x 800 at 400 %, as WCAG 2.2 asks for (1.4.10 Reflow)."""


@pytest.mark.parametrize("how", [PHONE, ZOOMED], ids=["phone", "zoomed"])
def test_on_a_small_screen_nothing_is_wider_than_it(server, visit, endless, bad_job, how):
    looked = visit(url(server), **how)
    for view, text in VIEWS.values():
        page = looked.open(view.format(endless=endless, bad=bad_job))
        expect(page.get_by_text(text).first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") <= how["viewport"]["width"], view
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


def test_a_job_from_the_form_runs_to_its_end(server, visit):
    page = visit(url(server)).open("/new")
    page.get_by_role("tab", name="Build").click()
    page.get_by_label("Name", exact=True).fill("from the form")
    page.get_by_placeholder("Add a source").fill("FakeSo")
    page.get_by_role("option", name="FakeSource", exact=True).click()
    source = page.get_by_role("region", name="source FakeSource")
    source.get_by_label("schema", exact=True).fill('{"fields": {"id": "bigint", "name": "string"}}')
    source.get_by_label("row.num", exact=True).fill("7")
    page.get_by_placeholder("Add a sink").fill("Cons")
    page.get_by_role("option", name="Console", exact=True).click()
    expect(page.get_by_text("id BIGINT, name STRING").first).to_be_visible()
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url(re.compile(r"#/job/\d+"))
    expect(page.get_by_title("FINISHED")).to_be_visible()
    number = int(page.url.rpartition("/job/")[2].partition("/")[0])
    job = server.second().wait(number)
    assert (job["jobName"], job["metrics"]["SinkWriteCount"]) == ("from the form", "7")


def test_what_is_wrong_is_shown_on_its_line_while_it_is_typed(server, visit):
    page = visit(url(server)).open("/new")
    expect(page.get_by_text("Nothing is wrong")).to_be_visible()
    editor = page.get_by_role("textbox", name="Job file")
    editor.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.type("env { job.mode = BATCH }\nsource { FakeSorce {} }\nsink { Console {} }\n")
    expect(page.get_by_text("unknown source 'FakeSorce'")).to_be_visible()
    expect(page.get_by_text("did you mean FakeSource?")).to_be_visible()
    expect(page.locator(".cm-lint-marker-error")).to_be_visible()
    expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()


def test_a_failed_job_tells_why_and_which_rows_were_bad(server, visit, bad_job):
    page = visit(url(server)).open(f"/job/{bad_job}")
    expect(page.get_by_text("It failed")).to_be_visible()
    page.get_by_role("tab", name="Bad rows").click()
    expect(page.get_by_role("cell", name="cannot read 'x' as INT")).to_be_visible()
    expect(page.get_by_text("2,bob,x")).to_be_visible()


def test_a_job_is_saved_restored_and_stopped_from_the_list(server, visit):
    number = submit(server, ENDLESS % "to be saved")
    server.second().wait(number, "RUNNING", seconds=120)
    page = visit(url(server)).open("/jobs")
    page.get_by_label("Search jobs").fill(str(number))
    page.get_by_role("button", name="Savepoint to be saved").click()
    expect(page.get_by_title("SAVEPOINT_DONE")).to_be_visible()
    page.get_by_role("button", name="Restore to be saved").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    page.wait_for_url(re.compile(rf"#/job/{number}"))
    expect(page.get_by_title("RUNNING")).to_be_visible()
    page.get_by_role("button", name="Stop to be saved").click()
    page.get_by_role("button", name="Stop now").click()
    expect(page.get_by_title("CANCELED")).to_be_visible()


def test_a_copy_of_a_job_shows_no_secret_and_asks_for_it_again(server, visit):
    text = """env { job.mode = BATCH, job.name = "with a secret" }
source { FakeSource { schema { fields { id = bigint } } } }
sink { Jdbc { url = "jdbc:sqlite:/nowhere/at/all.db", table = t, generate_sink_sql = true
  user = u, password = "s3cr3t-w0rd" } }
"""
    number = submit(server, text)
    server.second().wait(number)
    assert "s3cr3t-w0rd" not in server.second().get(f"job-files/{number}").content.decode()
    page = visit(url(server)).open(f"/new/copy/{number}")
    expect(page.get_by_text("a secret is masked").first).to_be_visible()
    expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()


def test_what_changed_since_the_last_run_is_shown(server, visit):
    first = """env { job.mode = BATCH, job.name = "twice" }
source { FakeSource { row.num = 5
  schema { fields { a = int } } } }
sink { Console {} }
"""
    server.second().wait(submit(server, first))
    number = submit(server, first.replace("row.num = 5", "row.num = 6"))
    page = visit(url(server)).open(f"/job/{number}/file")
    expect(page.locator(".diff-minus")).to_have_text(re.compile("row.num = 5"))
    expect(page.locator(".diff-plus")).to_have_text(re.compile("row.num = 6"))


def test_a_viewer_logs_in_and_sees_no_button_that_changes(start_server, visit):
    env = {"USER": "ada", "PASSWORD": "päss", "VIEWER_USER": "eve", "VIEWER_PASSWORD": "looks"}
    server = start_server(env={f"HEADRACE_{name}": value for name, value in env.items()})
    looked = visit(url(server))
    page = looked.open("/jobs")
    page.get_by_label("Name").fill("eve")
    page.locator("input[type=password]").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("input[type=password]").fill("looks")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    assert page.get_by_role("link", name="New job").count() == 0
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Name").fill("ada")
    page.locator("input[type=password]").fill("päss")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="New job").first).to_be_visible()
    refused = [text for text in looked.wrong if "401 (Unauthorized)" in text]
    assert refused  # the browser says so of every answer that is not a success
    looked.wrong = [text for text in looked.wrong if text not in refused]


def test_all_that_is_done_with_a_job_is_done_with_the_keyboard(server, visit):
    number = submit(server, ENDLESS % "by keys")
    server.second().wait(number, "RUNNING", seconds=120)
    page = visit(url(server)).open("/")
    expect(page.get_by_role("link", name="Jobs", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Shift+Tab")  # the last of the views
    press_until(page, "Shift+Tab", page.get_by_role("link", name="Jobs", exact=True))
    page.keyboard.press("Enter")
    press_until(page, "Tab", page.get_by_label("Search jobs"))
    page.keyboard.type(str(number))
    press_until(page, "Tab", page.get_by_role("link", name="by keys", exact=True))
    stop = page.get_by_role("button", name="Stop by keys")
    press_until(page, "Tab", stop)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    for _ in range(6):  # more often than it has buttons: the dialog keeps what is typed
        page.keyboard.press("Tab")
        expect(dialog.locator(":focus")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(stop).to_be_focused()
    press_until(page, "Shift+Tab", page.get_by_role("link", name="by keys", exact=True))
    page.keyboard.press("Enter")
    press_until(page, "Tab", page.get_by_role("tab", name="Graph"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", selected=True)).not_to_have_text("Graph")
    press_until(page, "Shift+Tab", stop)
    page.keyboard.press("Enter")
    press_until(page, "Tab", page.get_by_role("button", name="Stop now"))
    page.keyboard.press("Enter")
    expect(page.get_by_title("CANCELED")).to_be_visible()


def test_a_job_is_built_mended_looked_at_and_submitted_with_the_keyboard(server, visit):
    looked = visit(url(server))
    page = looked.open("/")
    press_until(page, "Tab", page.get_by_role("link", name="New job").first)
    page.keyboard.press("Enter")
    press_until(page, "Tab", page.get_by_role("tab", name="Write"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Build", selected=True)).to_be_focused()
    press_until(page, "Tab", page.get_by_role("textbox", name="Name", exact=True))
    page.keyboard.press("Control+a")
    page.keyboard.type("keys alone")
    add_part(page, "source", "FakeSource")
    source = page.get_by_role("region", name="source FakeSource")
    rows = source.get_by_label("row.num", exact=True)
    press_until(page, "Shift+Tab", rows)
    page.keyboard.type("-7")
    add_part(page, "sink", "Console")
    expect(rows).to_have_attribute("aria-invalid", "true")  # said where it is wrong, and in the list, which is read out
    said = page.get_by_role("listitem").filter(has_text="source[0].FakeSource.row.num").get_by_role("button")
    expect(page.locator("[aria-live=polite]").filter(has=said)).to_be_visible()
    described = rows.get_attribute("aria-describedby").split()
    assert any("-7" in page.locator(f"[id='{one}']").inner_text() for one in described)
    press_until(page, "Tab", said)
    page.keyboard.press("Enter")
    expect(rows).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    press_until(page, "Shift+Tab", source.get_by_label("schema", exact=True))
    page.keyboard.type('{"fields": {"id": "bigint", "name": "string"}}')
    show = page.get_by_role("button", name="Show rows")
    expect(show).to_be_enabled()
    assert looked.faults() == []
    press_until(page, "Tab", show)
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="id", exact=True)).to_be_visible()
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(r"#/job/\d+"))
    expect(page.get_by_role("main")).to_be_focused()  # not lost with the form
    expect(page).to_have_title("Jobs · Headrace")
    number = int(page.url.rpartition("/job/")[2].partition("/")[0])
    job = server.second().wait(number)
    assert (job["jobName"], job["jobStatus"], job["metrics"]["SinkWriteCount"]) == ("keys alone", "FINISHED", "7")


def add_part(page, kind, name):
    press_until(page, "Tab", page.get_by_role("combobox", name=f"Add a {kind}"))
    page.keyboard.type(name)
    expect(page.get_by_role("option", name=name, exact=True)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name=f"{kind} {name}")).to_be_visible()


def test_the_text_of_a_job_does_not_hold_the_keys(server, visit):
    page = visit(url(server)).open("/new")
    editor = page.get_by_role("textbox", name="Job file")
    expect(editor).to_be_visible()
    told = page.locator(f"[id='{editor.get_attribute('aria-describedby')}']")
    expect(told).to_contain_text("Escape, then Tab leaves the text")
    editor.focus()
    page.keyboard.press("Tab")
    expect(editor).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor).not_to_be_focused()


def press_until(page, key, wanted):
    """Press a key until what is wanted has the focus; a person gives up after forty times, too."""
    expect(wanted).to_be_visible()
    for _ in range(40):
        if wanted.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {wanted}")


def test_the_colours_follow_the_system_until_somebody_chooses(server, visit):
    page = visit(url(server), color_scheme="dark").open("/jobs")
    dark = background(page)
    page.get_by_role("button", name="Use light colours").click()
    expect(page.get_by_role("button", name="Use dark colours")).to_be_visible()
    light = background(page)
    assert brightness(dark) < 60 < 200 < brightness(light)
    page.reload()
    expect(page.get_by_role("button", name="Use dark colours")).to_be_visible()
    assert background(page) == light


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_the_page_works_behind_a_proxy_below_a_path_of_the_proxys_own(server, visit, proxy, endless):
    looked = visit(proxy(server.second()))
    page = looked.open("/jobs")
    expect(page.get_by_role("link", name="orders", exact=True).first).to_be_visible()
    expect(page.get_by_text("live", exact=True)).to_be_visible()  # /events, too, and as it comes
    page.get_by_role("link", name="orders", exact=True).first.click()
    expect(page.get_by_text("From source to sink")).to_be_visible()
    page.get_by_role("link", name="API", exact=True).click()
    expect(page.get_by_text("/submit-job/upload").first).to_be_visible()


def test_the_page_works_below_a_context_path(start_server, visit):
    server = start_server(env={"HEADRACE_HTTP_CONTEXT_PATH": "/st"})
    page = visit(url(server)).open("/plugins")
    expect(page.get_by_text("FakeSource", exact=True)).to_be_visible()


def test_v1_shows_the_page_where_no_v2_is_on(start_server, visit):
    server = start_server(env={"HEADRACE_HTTP_ENABLED": "false"})
    number = server.submit(
        {
            "env": {"job.mode": "BATCH", "job.name": "on v1"},
            "source": [{"plugin_name": "FakeSource", "schema": {"fields": {"a": "int"}}}],
            "sink": [{"plugin_name": "Console"}],
        }
    )
    server.wait(number)
    page = visit(f"http://127.0.0.1:{server.port}/").open("/jobs")
    page.get_by_role("link", name="on v1").click()
    expect(page.get_by_text("From source to sink")).to_be_visible()


def test_two_thousand_jobs_scroll_smoothly(start_server, visit, tmp_path):
    before = start_server()
    number = submit(before, ENDLESS.replace("STREAMING", "BATCH").replace("10000000", "10") % "one")
    before.second().wait(number)
    before.stop()
    store = store_in(before.home.resolve(), None)
    record = store.get(number)
    copies = [replace(record, job_id=10_000 + n, name=f"job {n}", created=record.created - n) for n in range(2000)]
    assert all(copy.status is JobStatus.FINISHED for copy in copies)
    assert store.add_all([(copy, JobText("")) for copy in copies]).result()
    store.close()
    server = before.start()
    for n in range(20):
        submit(server, ENDLESS % f"running {n}")
    looked = visit(url(server))
    began = time.monotonic()
    page = looked.open("/jobs")
    expect(page.get_by_text("2,021 jobs")).to_be_visible()
    painted = time.monotonic() - began
    assert page.locator(".jobs-body .jobs-row").count() < 80
    longest = page.evaluate(
        """async () => {
            const body = document.querySelector('.jobs-body');
            let [longest, last] = [0, performance.now()];
            for (let frame = 0; frame < 60; frame++) {
                body.scrollTop += 800;
                await new Promise(requestAnimationFrame);
                const now = performance.now();
                longest = Math.max(longest, now - last);
                last = now;
            }
            return longest;
        }"""
    )
    print(json.dumps({"painted_seconds": round(painted, 2), "longest_frame_ms": round(longest)}))
    assert longest < 5000
    body = page.locator(".jobs-body")
    body.evaluate("body => { body.scrollTop = body.scrollHeight; }")
    expect(page.get_by_role("link", name="job 1999", exact=True)).to_be_visible()


@pytest.fixture
def start_server(tmp_path):
    running = []

    def begin(**settings):
        running.append(Server(tmp_path / "home", **settings).start())
        return running[-1]

    yield begin
    for one in running:
        one.stop()


def test_first_rows_of_a_new_job_are_shown_when_they_are_asked_for(server, visit, tmp_path):
    (tmp_path / "a.csv").write_text("1,ann\n2,bob\n")
    one = visit(url(server))
    page = one.open("/new")
    expect(page.get_by_text("Nothing is wrong")).to_be_visible()
    text = f"""env {{ job.mode = BATCH }}
source {{ LocalFile {{ path = "{tmp_path}/a.csv", file_format_type = csv
  schema {{ fields {{ id = int, who = string }} }} }} }}
sink {{ Console {{ }} }}
"""
    (tmp_path / "job.conf").write_text(text)
    page.locator("input[type=file]").set_input_files(tmp_path / "job.conf")
    expect(page.get_by_text("a.csv")).to_be_visible()
    button = page.get_by_role("button", name="Show rows")
    expect(page.get_by_text("Nothing is wrong")).to_be_visible()
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_role("cell", name="bob")).to_be_visible()
    assert one.faults() == []


def test_bad_rows_are_replayed_and_the_page_says_what_became_of_them(server, visit, tmp_path):
    job_id = run_people(server.second(), tmp_path)
    (tmp_path / "in" / "a.csv").unlink()
    one = visit(url(server))
    page = one.open(f"/job/{job_id}/bad-rows")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_text("0 tried: 0 delivered.")).to_be_visible()
    expect(page.get_by_text("1 cannot be replayed: it is still bad: cannot read 'older' as INT")).to_be_visible()
    assert one.faults() == []


@pytest.mark.parametrize("width", [1280, 1100])
def test_every_button_of_a_row_is_in_sight(server, visit, endless, width):
    page = visit(url(server), viewport={"width": width, "height": 800}).open("/jobs")
    stop = page.get_by_role("button", name="Stop orders").first
    expect(stop).to_be_visible()
    edge, end = page.locator(".jobs-body").bounding_box(), stop.bounding_box()
    assert end["x"] + end["width"] <= edge["x"] + edge["width"]


def test_the_rate_of_a_job_is_what_it_writes_a_second(server, visit, endless):
    page = visit(url(server)).open("/jobs")
    row = page.get_by_role("row").filter(has_text="orders").first
    cell = row.get_by_role("cell").nth(4)
    expect(cell).to_have_text(re.compile(r"^\d+$"))
    page.wait_for_timeout(6000)  # it is that of the last five seconds
    assert 100 <= int(cell.inner_text()) <= 300  # the job's limit is 200


def test_the_list_shows_how_much_a_job_has_not_read(server, visit, endless):
    page = visit(url(server)).open("/jobs")
    expect(page.get_by_role("columnheader", name="Lag")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="orders").first
    expect(row.get_by_role("cell").nth(5)).to_have_text(re.compile(r"^[\d,. ]+$|^–$"))


def test_the_list_shows_the_bytes_of_a_followed_directory_that_were_not_read(server, visit, tmp_path):
    (tmp_path / "a.csv").write_text("".join(f"{n},{'x' * 500}\n" for n in range(20_000)))
    number = submit(
        server,
        f"""env {{ job.mode = STREAMING, job.name = "behind", read_limit.rows_per_second = 100 }}
source {{ LocalFile {{ path = "{tmp_path}", file_format_type = csv, discovery_mode = continuous, scan_interval = 1S
  schema {{ fields {{ id = int, text = string }} }} }} }}
sink {{ Console {{ log.print.data = false }} }}
""",
    )
    page = visit(url(server)).open("/jobs")
    page.get_by_label("Search jobs").fill(str(number))
    expect(page.get_by_role("row").nth(1).get_by_role("cell").nth(5)).to_have_text(re.compile(r"^1?\d,\d{3},\d{3}$|M"))
    server.second().ask("POST", "stop-job", {"jobId": number, "isStopWithSavePoint": False})
