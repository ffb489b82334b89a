"""Programs that talk to a deployed stack: onboard and offboard a publisher, verify."""
