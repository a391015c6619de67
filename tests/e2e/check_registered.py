"""Fails when a test file here is not one of the arguments (it would never run), or has no test in it."""

import pathlib
import sys
import unittest

here = pathlib.Path(__file__).parent
registered, present = set(sys.argv[1:]), {path.name for path in here.glob("test_*.py")}
problems = ["not in CMakeLists.txt: " + name for name in sorted(present - registered)]
problems += ["in CMakeLists.txt, but no such file: " + name for name in sorted(registered - present)]
sys.path.insert(0, str(here))
sys.dont_write_bytecode = True
for name in sorted(registered & present):
    if not unittest.defaultTestLoader.loadTestsFromName(name[:-3]).countTestCases():
        problems.append("no test in " + name)
print("\n".join(problems) or "%d test files registered" % len(present))
sys.exit(1 if problems else 0)
