#!/bin/bash
# Three teams hand their tiers to each other through a registry. README.md, beside this file, explains each step.
# Run it in the folder of the clone: inventories/handover/demo.sh
set -euo pipefail

demo=inventories/handover

step() {
  printf '\n=== %s\n' "$1"
}

# team NAME PLAYBOOK [OPTIONS]: what somebody of this team types.
team() {
  local name=$1 playbook=$2
  shift 2
  printf '%s$ ansible-playbook playbooks/%s.yml%s\n' "$name" "$playbook" "${*:+ $*}"
  ansible-playbook -i "$demo/$name/chain.yml" "playbooks/$playbook.yml" "$@"
}

update() {
  printf '%s$ tierwright update\n' "$1"
  tierwright update -i "$demo/$1/chain.yml"
}

step 'A registry on this machine'
ansible-playbook "$demo/registry.yml"

step 'Operations builds the core build, and publishes it. Nobody follows it yet, so verdicts are only advice.'
team operations build_chain
team operations publish -e tier_verdicts=advisory

step 'Middleware follows it, builds its tiers upon it, and publishes them'
update middleware
team middleware build_chain
team middleware publish -e tier_verdicts=advisory

step 'Development follows these, and builds the application'
update development
team development build_chain
team development publish

step 'Operations changes the core build, and offers it as a candidate'
banner=(-e "corebuild_banner='Patched by operations.'")
team operations build_chain "${banner[@]}"
team operations publish "${banner[@]}" -e tier_candidate=true

step 'Middleware and development try the candidate. They release nothing, and say what they think of it.'
team middleware try_candidate
team development try_candidate

step 'Development said yes, so operations can publish. The others take the new core build, and build nothing again.'
team operations publish "${banner[@]}"
update middleware
team middleware build_chain
team middleware publish
update development
team development build_chain
team development publish

step 'Middleware hardens PHP too much. Its own tests pass.'
hardening=(-e '{"httpd_php_ini": {"disable_functions": "mysqli_real_connect", "session.save_path": "/tmp"}}')
team middleware build_chain "${hardening[@]}"
team middleware publish "${hardening[@]}" -e tier_candidate=true

step 'Development says no, so middleware cannot publish. The message names the consumer, its test and its log.'
if team development try_candidate; then
  echo 'development accepted the candidate' >&2
  exit 1
fi
if team middleware publish "${hardening[@]}"; then
  echo 'middleware published what development rejected' >&2
  exit 1
fi

step 'The registry stops. Its data stays in ~/.local/share/tierwright-handover.'
ansible-playbook "$demo/registry.yml" -e registry_state=stopped
