"""Reading what events say of other events: children of an event, threads of a room."""
