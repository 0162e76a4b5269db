"""The kinds of news that /sync tells, a file each: `changes(look)` says what there is for one look."""
