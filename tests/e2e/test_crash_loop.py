"""Random kill -9 under load: nothing that was acknowledged is lost, nothing corrupt is served.

    SHOAL_BIN=build/shoal python3 test_crash_loop.py --kills 1000
"""

import argparse
import os
import sys
import time
import unittest

from lib import case, crash_loop

KILLS = int(os.environ.get("SHOAL_KILLS", "200"))
SEED = int(os.environ.get("SHOAL_SEED", "0")) or int(time.time())


class TestCrashLoop(case.Case):
    limit = 120 + KILLS * 2

    def test_nothing_acknowledged_is_lost_and_nothing_corrupt_is_served(self):
        loop = crash_loop.CrashLoop(self, SEED)
        began = time.monotonic()
        loop.run(KILLS, self.progress)
        problems = loop.verify()
        print("\n%d kills (seed %d) in %.0f s: %s" % (KILLS, SEED, time.monotonic() - began, loop.report()), flush=True)
        self.assertGreater(sum(len(p.manifests) for p in loop.pushers), KILLS / 10, "hardly any load")
        self.assertGreater(loop.pulled, KILLS, "hardly any load")
        if problems:
            self.fail("seed %d: %d problems:\n%s" % (SEED, len(problems), "\n".join(problems[:40])))

    @staticmethod
    def progress(done):
        if sys.stderr.isatty():
            sys.stderr.write("\r%d of %d kills" % (done, KILLS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=SEED)
    options, rest = parser.parse_known_args()
    KILLS, SEED = options.kills, options.seed
    TestCrashLoop.limit = 120 + KILLS * 2
    unittest.main(argv=[sys.argv[0], *rest])
