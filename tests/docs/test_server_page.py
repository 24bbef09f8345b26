"""The first server of its page: started as it stands there, then asked."""

import shlex

from tests.api.servers import Server
from tests.docs.pages import DOCS, Terminal, blocks


def test_the_first_server_of_the_page_answers_as_it_says(tmp_path, monkeypatch):
    settings, commands = (block for block in blocks(DOCS / "server.md") if block.section == "A first server")
    home = tmp_path / "home"
    (command, _), *_ = commands.steps
    places = {"/var/lib/headrace": str(home), "/etc/headrace": f"{home}-config"}
    assert settings.name == "/etc/headrace/headrace.yaml"
    server = Server(home, files={"headrace.yaml": settings.text}).start()
    try:
        here = Terminal(tmp_path, {**places, "localhost:5801": f"localhost:{server.port}"}, alone=True)
        started = " ".join(map(str, server.process.args))
        assert shlex.split(here.here(command).removesuffix(" &"))[1:] == shlex.split(started)[3:8]
        here.stands_for[here.here(command)] = "true"  # it runs already
        here.follow(commands)
    finally:
        server.stop()
