# Makes .venv (or $HYPERSCAN_VENV) with the locked versions; quick when nothing changed. Sourced by the other scripts.
# usage: prepare_environment EXTRAS...    (for example: prepare_environment test docs)
prepare_environment() {
  local venv="${HYPERSCAN_VENV:-.venv}" extras stamp wanted
  extras=$(IFS=,; echo "$*")
  if [ ! -x "$venv/bin/python" ]; then
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
      echo "hyperscan needs Python 3.11 or newer; python3 is $(python3 --version 2>&1)." >&2
      return 2
    }
    python3 -m venv "$venv"
  fi
  wanted=$(cat pyproject.toml requirements.lock | cksum)" $PWD"
  stamp="$venv/.installed-${extras:-core}"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "installing hyperscan and what it needs into $venv (once; a download of some hundred MB) ..." >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".${extras:+[$extras]}"
    echo "$wanted" > "$stamp"
  fi
  PYTHON="$venv/bin/python"
  PATH="$PWD/$venv/bin:$PATH"
  case "$venv" in /*) PATH="$venv/bin:$PATH" ;; esac
}
