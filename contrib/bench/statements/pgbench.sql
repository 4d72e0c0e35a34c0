SELECT abalance FROM pgbench_accounts WHERE aid = 73518;

BEGIN;

UPDATE pgbench_accounts SET abalance = abalance + -2718 WHERE aid = 150222;

UPDATE pgbench_tellers SET tbalance = tbalance + 1414 WHERE tid = 17;

UPDATE pgbench_branches SET bbalance = bbalance + 1414 WHERE bid = 2;

INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (17, 2, 150222, 1414, CURRENT_TIMESTAMP);

SELECT abalance FROM pgbench_accounts WHERE aid = $1;

UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2;

INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP);

END;
