// Shows the OpenAPI description in Swagger UI; asks for a key first if the server requires one.
"use strict";

const place = document.getElementById("documentation");
const form = document.getElementById("key");

function show(description, key) {
  SwaggerUIBundle({
    spec: description,
    domNode: place,
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (key) request.headers.Authorization = `Bearer ${key}`;
      return request;
    },
  });
}

async function open(key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch(place.dataset.schema, { headers });
  if (answer.status === 401) {
    form.hidden = false;
    form.querySelector("[role=alert]").textContent = key ? "The server does not know this key." : "";
    return;
  }
  form.hidden = true;
  show(await answer.json(), key);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  open(form.querySelector("input").value.trim());
});
open("");
