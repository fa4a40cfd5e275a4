-- Rows that change in place leave room on their page, so that an update touches no index (HOT).
ALTER TABLE billing_balance SET (fillfactor = 60);
ALTER TABLE billing_binding SET (fillfactor = 60);
ALTER TABLE billing_activecall SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE billing_node SET (fillfactor = 50);
ALTER TABLE billing_account SET (fillfactor = 90);
