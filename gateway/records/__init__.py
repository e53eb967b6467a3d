"""Records: a job for each answer of detect and mask, kept in the database for a while where the settings ask for it."""
