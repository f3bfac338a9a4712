"""What pyproject.toml cannot say: a wheel holds what the checkout holds now, or is not built."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class FreshBuild(build_py):
    """Without what an earlier build left, for setuptools would pack that too: modules that are gone since."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


for link in ("src/tarn", "tarn/sharding", "tarn/training", "tarn/inference"):
    if not (Path(__file__).parent / link).is_dir():
        raise SystemExit(
            f"{link} is not the symbolic link that it is in the repository: clone with git -c core.symlinks=true, or "
            "take a .tar.gz: what unpacks a .zip may not keep links."
        )
setup(cmdclass={"build_py": FreshBuild})
