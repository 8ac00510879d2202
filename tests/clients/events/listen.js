// Prints `name app-or-deployment` for each event until it is ended: listen.js HOST PORT
"use strict";
const MarathonEventBusClient = require("marathon-event-bus-client");

const [host, port] = process.argv.slice(2);
const names = ["event_stream_attached", "status_update_event", "instance_changed_event", "deployment_info", "deployment_step_success", "deployment_success", "deployment_failed", "group_change_success", "app_terminated_event"];
const handlers = {};
for (const name of names) handlers[name] = (_, data) => console.log(name, data.appId ?? data.runSpecId ?? data.id ?? data.plan?.id ?? "-", data.taskStatus ?? data.condition ?? "-", data.timestamp);
const client = new MarathonEventBusClient({ marathonHost: host, marathonPort: Number(port), eventTypes: names, handlers });
client.on("subscribed", () => console.log("subscribed"));
client.on("error", (what) => console.error("error", JSON.stringify(what)));
client.subscribe();
