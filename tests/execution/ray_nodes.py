"""Nodes of Ray on this machine, each of which can be killed with all its processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil

from headrace.execution.ray_cluster import MODE, OBJECTS_BYTES, TOKEN, TUNED


class RayNode:
    """head: host:port of Ray's head; empty makes this node the head."""

    def __init__(self, head, token, cpus, log):
        host = own_address()
        self.address = head or f"{host}:{free_port(host)}"
        role = ["--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=false"]
        given = [f"--node-ip-address={host}", f"--num-cpus={cpus}", "--num-gpus=0", f"--memory={2 << 30}"]
        given += [f"--object-store-memory={OBJECTS_BYTES}", "--disable-usage-stats"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *given]
        command += [f"--address={head}"] if head else role
        env = {**os.environ, **TUNED, MODE: "token", TOKEN: token}
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text(errors="replace"):
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def all_of_it(self):
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def workers(self):
        """Its processes that run tasks of Headrace."""
        found = []
        for process in self.all_of_it():
            with suppress(psutil.NoSuchProcess):
                found += [process.pid for part in process.cmdline() if "RayWorker" in part]
        return found

    def kill(self):
        """All at once, as when the machine fails."""
        for process in self.all_of_it():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            all_of_it = self.all_of_it()
            self.process.send_signal(signal.SIGTERM)
            _, left = psutil.wait_procs(all_of_it, 20)
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self.process.wait()


def own_address():
    """The address that Ray takes for this machine: it leaves 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
