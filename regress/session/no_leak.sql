-- Values of names that others set all the time.
SELECT coalesce(current_setting('app.tenant', true), '') = '', coalesce(current_setting('app.other', true), '') = '';
SELECT coalesce(current_setting('app.tenant', true), '') = '', coalesce(current_setting('app.other', true), '') = '';
SET app.tenant = 'mine';
SHOW app.tenant;
SELECT coalesce(current_setting('app.other', true), '') = '';
SHOW app.tenant;
RESET app.tenant;
SHOW app.tenant;
SELECT coalesce(current_setting('app.tenant', true), '') = '', coalesce(current_setting('app.other', true), '') = '';
