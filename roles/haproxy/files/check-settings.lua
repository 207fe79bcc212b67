-- Checks the variables of a container in which HAProxy itself would not notice a mistake, or not name the variable.
-- HAProxy runs this once, when it reads its configuration. Usage: lua-load check-settings.lua [servers]
-- With the word "servers", the image names its replicas, so HAPROXY_BACKEND is not needed.

local fixed_servers = ... == "servers"

local function value(name)
    return os.getenv(name) or ""
end

local function check(name, pattern, expected)
    if not value(name):match(pattern) then
        error(name .. " is '" .. value(name) .. "'; expected " .. expected, 0)
    end
end

local servers = ""
for number = 1, 4 do
    servers = servers .. value("HAPROXY_SERVER_" .. number)
end
if not fixed_servers and servers == "" then
    check("HAPROXY_BACKEND", "^[^%s:/]+:%d+$", "the DNS name and port of the replicas, such as wordpress:8080")
end
if value("HAPROXY_RESOLVER") ~= "" then
    check("HAPROXY_RESOLVER", "^.+:%d+$", "the address and port of a DNS server, such as 10.0.0.2:53")
end
for _, name in ipairs { "HAPROXY_MAX_CONNECTIONS", "HAPROXY_MAX_REPLICAS", "HAPROXY_STOP_TIMEOUT", "HAPROXY_THREADS" } do
    check(name, "^[1-9]%d*$", "a number from 1")
end
check("HAPROXY_STOP_DELAY", "^%d+$", "a number of seconds")
