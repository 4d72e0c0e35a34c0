-- A client that wants to be told everything is told nothing of the pooler's own.
SET client_min_messages = debug5;
SET work_mem = '5MB';
SET client_min_messages = notice;
SHOW work_mem;
