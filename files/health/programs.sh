# PROGRAM…: how many of each one's processes are in which of Supervisor's states
processes=$(supervisor_processes)
for program; do printf 'program %s%s\n' "$program" "$(program_states "$program" "$processes")"; done
