using var client = new HttpClient();

// 503 while it is not ready: the body says why, so it is read all the same.
var response = await client.GetAsync("http://127.0.0.1:8000/health");
Console.WriteLine($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
