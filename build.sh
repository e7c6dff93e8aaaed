#!/usr/bin/env bash
# The original's entry point: build.sh all|frontend|backend|clean. Each calls make.
set -eu
cd "$(dirname "$0")"
case "${1:-all}" in
  all) make install frontend ;;
  frontend) make frontend ;;
  backend) make install ;;
  clean) make clean ;;
  *) echo "usage: ./build.sh [all|frontend|backend|clean]" >&2; exit 2 ;;
esac
