#!/bin/sh
# The tritonserver of the package nvidia-pytriton, for `atlas models serve --program`. It is to be next to `venv`, the
# environment in which that package is installed. See triton.md.
#
# The server looks for a stub of the Python version next to its Python backend, where the package does not put it. What
# a model of that backend imports, NumPy first, it finds in this environment, by the first `python3` of the PATH.
set -eu
here=$(dirname "$(readlink -f "$0")")
python="$here/venv/bin/python3"
home=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pytriton/tritonserver
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
stub="$home/backends/python/triton_python_backend_stub"
[ -e "$stub" ] || cp "$home/python_backend_stubs/$version/triton_python_backend_stub" "$stub"
PATH="$here/venv/bin:$PATH" exec "$home/bin/tritonserver" --backend-directory="$home/backends" "$@"
