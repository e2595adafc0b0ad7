#!/usr/bin/env bash
# Makes .venv from requirements.lock and installs what apt-get can give of TeX, a C++ compiler and Python's headers.
# Safe to run again (a second run takes about a second), to cut in the middle, and to run twice at once. Asks nothing.
#   PYTHON=/path/to/python   interpreter to use (default: the one of .venv, else the newest of 3.11 to 3.13 on PATH)
#   NO_APT=1                 never install system packages, only say what is missing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp=$venv/cpt-dynamics.stamp       # written last: names what .venv was made from
unfinished=$venv/cpt-dynamics.unfinished # there while pip works: a cut installation may look whole to pip
log=.cache/apt.log
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=0
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX

say() { echo "setup: $*"; }
fail() { echo "error: $*" >&2; exit 1; }

# One set-up at a time where flock exists (not on macOS).
mkdir -p .cache
if command -v flock >/dev/null; then
  exec 9>.cache/setup.lock
  flock -n 9 || { say "waiting for another set-up of this checkout to end"; flock 9; }
fi

# --- system packages -------------------------------------------------------------------------------------------
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_apt() {
  [ -z "${NO_APT:-}" ] && command -v apt-get >/dev/null &&
    { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }
}

apt_install() {
  local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300)
  say "installing $* with apt-get"
  # A failed update of one source out of several need not fail the installation.
  as_root "${quiet[@]}" update </dev/null >"$log" 2>&1 || true
  as_root "${quiet[@]}" install --no-install-recommends "$@" </dev/null >>"$log" 2>&1 ||
    { say "apt-get failed: see $log"; return 1; }
}

# --- Python ------------------------------------------------------------------------------------------------------
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" || fail "PYTHON=$PYTHON does not run or is not Python 3.11, 3.12 or 3.13"
    echo "$PYTHON"
    return
  fi
  for candidate in "$venv/bin/python" python3.13 python3.12 python3.11 python3 python; do
    if fits "$candidate"; then echo "$candidate"; return; fi
  done
  fail "no Python 3.11, 3.12 or 3.13 found: install one, or run 'make PYTHON=/path/to/python3.11 ...'"
}

python=$(find_python)
# The version in two numbers, and the file of the interpreter itself rather than of a virtual environment.
read -r version base < <("$python" -c '
import os, sys
print("%d.%d" % sys.version_info[:2], os.path.realpath(getattr(sys, "_base_executable", sys.executable)))')

wanted=$("$python" - <<'END'
import hashlib, pathlib, sys
parts = [pathlib.Path(name).read_bytes() for name in ("requirements.lock", "pyproject.toml", "scripts/setup.sh")]
print(pathlib.Path.cwd(), sys.version_info[:3], hashlib.sha256(b"\0".join(parts)).hexdigest())
END
)

make_venv() {
  if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "${base#/usr/bin/}" = "$base" ] || ! can_apt || ! apt_install "python$version-venv"; then
      fail "$base lacks the modules venv and ensurepip: install the package python$version-venv, then run again"
    fi
  fi
  say "making $venv with $base (Python $version)"
  "$base" -m venv --clear "$venv" || fail "$base could not make $venv (see above)"
}

install_python_packages() {
  local chatter=(--quiet)
  [ -t 1 ] && chatter=()
  if [ -e "$unfinished" ]; then
    say "the last set-up was cut short: starting over"
    make_venv
  elif [ -e "$stamp" ] && ! grep -qF "$PWD (" "$stamp"; then
    say "the checkout was moved or copied: starting over"
    make_venv
  elif ! fits "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    make_venv
  elif [ -n "${PYTHON:-}" ] && [ "$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" != "$version" ]; then
    make_venv
  fi
  touch "$unfinished"
  say "installing $(grep -c == requirements.lock) packages into $venv (torch is large: minutes the first time)"
  "$venv/bin/python" -m pip install "${chatter[@]}" --use-pep517 -r requirements.lock ||
    fail "pip could not install requirements.lock (its message is above): mend that and run again"
  "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation -e . ||
    fail "pip could not install this checkout (its message is above): mend that and run again"
  rm "$unfinished"
  echo "$wanted" >"$stamp"
}

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || ! fits "$venv/bin/python" || [ -e "$unfinished" ]; then
  install_python_packages
fi

# --- TeX, compiler, headers: the kit works without them, with less ----------------------------------------------
has_tex() {
  command -v tectonic >/dev/null && return
  command -v latexmk >/dev/null && command -v pdflatex >/dev/null &&
    kpsewhich lmodern.sty booktabs.sty caption.sty etoolbox.sty microtype.sty natbib.sty >/dev/null
}
has_compiler() { command -v "${CXX:-g++}" >/dev/null || { [ "$(uname)" = Darwin ] && command -v clang++ >/dev/null; }; }
has_headers() {
  "$venv/bin/python" -c '
import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

tex_packages="latexmk texlive-latex-base texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended lmodern"
headers_package=python$version-dev

missing=()
has_tex || missing+=($tex_packages)
has_compiler || missing+=(g++)
# Debian's headers serve Debian's interpreter only.
has_headers || [ "${base#/usr/bin/}" = "$base" ] || missing+=("$headers_package")
if [ ${#missing[@]} -gt 0 ] && can_apt; then apt_install "${missing[@]}" || true; fi

has_tex || say "no TeX: everything but the PDF is made. To get it, install tectonic or (apt-get install) $tex_packages"
has_compiler || say "no C++ compiler: training is not compiled (slower). To speed it up, install g++"
has_headers || say "no Python headers for $base: training is not compiled (slower). To speed it up, install $headers_package"
