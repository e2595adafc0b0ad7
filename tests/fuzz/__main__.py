"""`make fuzz`: try many inputs on every reader, and keep those that fail."""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from fuzz.readers import READERS, make
from fuzz.run import apart, save

FAILED = Path(__file__).parents[2] / ".cache/fuzz"  # where inputs are kept
MEMORY = 6 << 30  # bytes of address space beyond what is used when it begins


def run() -> int:
    names = [reader.name for reader in READERS]
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="inputs a reader (default: %(default)s)")
    parser.add_argument("--reader", nargs="*", choices=names, default=[], metavar="READER", help=", ".join(names))
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="default: another one each time")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.inputs:,} inputs a reader; those that fail are kept in {FAILED}", flush=True)
    failed = 0
    os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        for reader in READERS:
            if options.reader and reader.name not in options.reader:
                continue
            began = time.monotonic()
            found = apart(reader, Path(folder), options.inputs, options.seed)
            passed = f"{found.inputs:,} inputs, {found.refused:,} refused, {len(found.failures)} failures"
            print(f"{reader.name:20} {passed}, {time.monotonic() - began:.0f} s", flush=True)
            for what, raw in found.failures.values():
                print(f"    {what}\n        {save(reader, raw, FAILED)}", flush=True)
            failed += len(found.failures)
    print(f"{failed} failures" if failed else "a result or one line, always")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run())
