using System.Net;

using var client = new HttpClient();
client.DefaultRequestHeaders.Add("X-API-Key", "xyl_your_api_key_here");

Directory.CreateDirectory("masked");
foreach (var path in Directory.EnumerateFiles("photos", "*.jpg"))
{
    HttpResponseMessage response;
    while (true)
    {
        using var content = new MultipartFormDataContent();
        content.Add(new ByteArrayContent(File.ReadAllBytes(path)), "image", "image.jpg");
        response = await client.PostAsync("http://127.0.0.1:8000/api/v1/mask?method=pixelate&strength=60", content);
        if (response.StatusCode is not (HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable)) break;
        await Task.Delay(response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1));
    }

    var name = Path.GetFileName(path);
    if (response.IsSuccessStatusCode)
    {
        await File.WriteAllBytesAsync(Path.Combine("masked", name), await response.Content.ReadAsByteArrayAsync());
        var faces = response.Headers.GetValues("X-Face-Count").First();
        Console.WriteLine($"{name}: {faces} faces");
    }
    else
    {
        Console.WriteLine($"{name}: {await response.Content.ReadAsStringAsync()}");
    }
}
