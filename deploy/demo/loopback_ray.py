"""Ray's command line, for nodes that listen on 127.0.0.1 only.

`ray start` (2.60) takes the machine's outer address where it is told the loopback one, and then listens everywhere.
What a node starts keeps to the loopback address on systems where Ray supports one node only, which a variable says;
there, `ray start` refuses a second node. So this process has the variable unset, and what it starts has it set.
"""

import os

from ray._private import services  # pyright: ignore[reportMissingImports] - of the extra `cluster`
from ray.scripts.scripts import main  # pyright: ignore[reportMissingImports] - as above


def keep(host: str) -> str:
    """The address as it was given, instead of the outer one."""
    return host


if __name__ == "__main__":
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    services.resolve_ip_for_localhost = keep
    main()
