-- billing_gateway

CREATE TRIGGER gateways_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON billing_gateway
    FOR EACH STATEMENT EXECUTE FUNCTION notify('routes');

-- billing_gatewayroute

CREATE TRIGGER routes_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON billing_gatewayroute
    FOR EACH STATEMENT EXECUTE FUNCTION notify('routes');

-- billing_emergencyroute

CREATE TRIGGER emergency_routes_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON billing_emergencyroute
    FOR EACH STATEMENT EXECUTE FUNCTION notify('routes');
