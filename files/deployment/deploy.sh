#!/bin/bash
# managed by itqan, files/deployment/deploy.sh: changes here are drift
# Deployment by hand: the newest commit of the ref that the stack asks for, released as `./itqan deploy` releases it: under the
# same lock, with the same checks, and taken back when a step fails.
#   deployment/deploy.sh              standard deployment: all nine steps
#   deployment/deploy.sh --quick      PHP and Blade alone: without maintenance mode, Composer, npm and migrations
#   deployment/deploy.sh --skip-npm   without the frontend build
#   deployment/deploy.sh --fresh      DANGER: drops all tables; refused in production
# A terminal that is closed does not stop it: /var/log/itqan/by-hand.log has what the newest one said.
# To write this file anew: ./itqan deployment STACK FOLDER
set -euo pipefail
tool=/usr/local/sbin/itqan-release
if ! [ -x "$tool" ]; then
    echo "deploy: $tool is missing: this is no server of the stack, or ./itqan up never came to its end here" >&2
    exit 1
fi
if ((EUID)); then exec sudo "$tool" pull "$@"; fi
exec "$tool" pull "$@"
