-- The seed as a setting, and nothing else that would pin.
SET seed = 0.5;
SELECT random();
SELECT random();
SELECT random();
RESET ALL;
SELECT random();
SELECT random();
