# PROGRAM…: how many of each one's processes are in which of Supervisor's states
for program; do printf 'program %s%s\n' "$program" "$(program_states "$program")"; done
