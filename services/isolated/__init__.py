"""Work on strangers' bytes that is done in a process of its own, which may crash, swell or hang without harm to this one."""
