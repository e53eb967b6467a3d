using System.Net;
using System.Text.Json;

using var client = new HttpClient();
client.DefaultRequestHeaders.Add("X-API-Key", "xyl_your_api_key_here");

async Task<HttpResponseMessage> Detect()
{
    using var content = new MultipartFormDataContent();
    content.Add(new ByteArrayContent(File.ReadAllBytes("photo.jpg")), "image", "photo.jpg");
    return await client.PostAsync("http://127.0.0.1:8000/api/v1/detect", content);
}

var response = await Detect();
for (var tries = 1; tries < 5; tries++)
{
    if (response.StatusCode is not (HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable)) break;
    await Task.Delay(response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1)); // too often, or busy
    response = await Detect();
}

using var data = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
if (response.IsSuccessStatusCode)
{
    var faces = data.RootElement.GetProperty("summary").GetProperty("face_count").GetInt32();
    Console.WriteLine($"{faces} faces");
}
else
{
    var detail = data.RootElement.GetProperty("detail").GetString();
    Console.WriteLine($"Error {(int)response.StatusCode}: {detail}");
}
