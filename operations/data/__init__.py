"""Production's data in copies: rules, what looks personal, what stands in its place, the way of a backup."""
