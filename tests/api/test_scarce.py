"""A server whose resources run out goes on with its jobs, and says once what is the matter."""

import contextlib
import resource
import socket

from tests.api.servers import job, wait_for

READY = b"GET /hazelcast/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_idle_clients_leave_descriptors_for_the_servers_own_work(start):
    server = start()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (256, 256))
    endless = job(1_000_000, "STREAMING", **{"checkpoint.interval": 200, "read_limit.rows_per_second": 100})
    number = server.submit(endless)
    server.wait(number, "RUNNING")
    with contextlib.ExitStack() as clients:
        for _ in range(300):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            client.sendall(READY)
            assert client.recv(4096).split()[1] in (b"200", b"503")
        before = checkpoints(server, number)["completed"]
        wait_for(lambda: checkpoints(server, number)["completed"] > before + 3)
    assert checkpoints(server, number)["failed"] == 0
    server.ask("POST", "stop-job", {"jobId": number})
    server.wait(number, "CANCELED")
    assert server._read().count("connections use all but the last of the 256 files") == 1


def checkpoints(server, number):
    return server.get(f"jobs/checkpoints/{number}").json["pipelines"][0]["counts"]
