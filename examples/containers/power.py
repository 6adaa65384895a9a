#!/usr/bin/env python3
"""Switches containers on and off by HTTP: what a machine's power is in a cluster of k3d or kind.

power.py ADDRESS:PORT PREFIX    POST /on/NAME and /off/NAME start and stop the container NAME, if its name begins
with PREFIX; GET /NAME answers on or off. Needs Python and the docker command; listens where the cluster's pods reach
it. For trying things out: whoever reaches the port switches these containers.
"""

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main() -> None:
    """Serves until it is interrupted."""
    host, _, port = sys.argv[1].rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Switch)
    server.daemon_threads = True
    print(f"switching containers {sys.argv[2]}* on http://{sys.argv[1]}", flush=True)
    server.serve_forever()


class Switch(BaseHTTPRequestHandler):
    """One request: what to do, and with which container."""

    def do_POST(self) -> None:
        """Starts or stops a container; asking again changes nothing."""
        action, _, name = self.path.strip("/").partition("/")
        command = {"on": ["start"], "off": ["stop", "--time=20"]}.get(action)
        if command is None or not name.startswith(sys.argv[2]):
            return self.say(404, "no such container")
        done = subprocess.run(["docker", *command, name], capture_output=True, text=True, check=False)
        print(f"{action} {name}: {done.stderr.strip() or 'done'}", flush=True)
        return self.say(500, done.stderr) if done.returncode else self.say(200, action)

    def do_GET(self) -> None:
        """Whether a container runs."""
        name = self.path.strip("/")
        if not name.startswith(sys.argv[2]):
            return self.say(404, "no such container")
        asked = ["docker", "container", "inspect", "--format={{.State.Running}}", name]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return (
            self.say(404, done.stderr)
            if done.returncode
            else self.say(200, {"true": "on"}.get(done.stdout.strip(), "off"))
        )

    def say(self, code: int, text: str) -> None:
        """Answers in one line."""
        self.send_response(code)
        self.end_headers()
        self.wfile.write(f"{text.strip()}\n".encode())

    def log_message(self, *_: object) -> None:
        """Quiet: what is switched is printed above."""


if __name__ == "__main__":
    main()
