"""podman pulls through the mirror and by the mirror's own address; see lib/battery.py."""

import unittest

from lib import battery, clients


class TestPodman(battery.ClientBattery):
    client_class = clients.Podman
    test_image_runs = None  # crun and runc refuse to run in some cgroup layouts; dockerd shows that the image runs


del battery  # else unittest would find the base class too

if __name__ == "__main__":
    unittest.main()
