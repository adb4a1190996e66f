# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One scheduled check, run as a script by a Python that has pydantic and filelock.

python3 -I .../_engine/monitor/start.py [/etc/roosync-heartbeat/monitor.conf]
"""

import os
import sys


def main(argv: "list[str]") -> int:
    """Check with the files of one release, whatever an upgrade does meanwhile."""
    root, package = os.path.realpath(__file__).rsplit("/", 3)[:2]
    sys.path.insert(0, root)
    status: int = __import__(package + ".monitor.cli", fromlist=["main"]).main(argv)
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
