const response = await fetch("http://127.0.0.1:8000/health");
const { status, model } = await response.json();
console.log(response.status, status, model);
