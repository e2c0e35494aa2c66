// The ways in which .NET programs write XML.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Xml;
using System.Xml.Serialization;

// What was written: all of it, or what was there when the writer threw.
public class Written {
  public byte[] Body;
  public string Threw;
}

public static class Writers {
  public static readonly Dictionary<string, Action<Stream, object>> All = new Dictionary<string, Action<Stream, object>> {
    // The caller's writer is closed whatever happens, as `using` does it.
    { "XmlTextWriter", (stream, o) => With(new XmlTextWriter(stream, Encoding.UTF8), o) },
    { "XmlTextWriter without encoding", (stream, o) => With(new XmlTextWriter(stream, null), o) },
    { "XmlTextWriter in ASCII", (stream, o) => With(new XmlTextWriter(stream, Encoding.ASCII), o) },
    { "XmlWriter", (stream, o) => With(XmlWriter.Create(stream), o) },
    { "XmlWriter unchecked", Create(settings => settings.CheckCharacters = false) },
    { "XmlWriter entitizing", Create(settings => {
      settings.CheckCharacters = false;
      settings.NewLineHandling = NewLineHandling.Entitize;
    }) },
    { "XmlWriter keeping new lines", Create(settings => {
      settings.CheckCharacters = false;
      settings.NewLineHandling = NewLineHandling.None;
    }) },
    { "XmlWriter indented", Create(settings => {
      settings.CheckCharacters = false;
      settings.Indent = true;
      settings.NewLineChars = "\r\n"; // as on Windows
    }) },
    // The byte order mark stays.
    { "XmlWriter without declaration", Create(settings => settings.OmitXmlDeclaration = true, Encoding.UTF8) },
    { "XmlWriter in ASCII", Create(settings => settings.CheckCharacters = false, Encoding.ASCII) },
    { "XmlWriter in Latin 1", Create(settings => settings.CheckCharacters = false, Encoding.GetEncoding(28591)) },
    { "XmlWriter in UTF-16", Create(settings => settings.CheckCharacters = false, Encoding.Unicode) },
    { "XmlDictionaryWriter", (stream, o) => With(XmlDictionaryWriter.CreateTextWriter(stream), o) },
    { "Serialize(Stream)", (stream, o) => Serializer(o).Serialize(stream, o) },
    { "Serialize(StringWriter)", (stream, o) => {
      // The declaration says utf-16, and the bytes are UTF-8.
      var text = new StringWriter();
      Serializer(o).Serialize(text, o);
      var bytes = new UTF8Encoding(false).GetBytes(text.ToString());
      stream.Write(bytes, 0, bytes.Length);
    } },
    { "XmlTextWriter with prefix", (stream, o) => {
      var prefix = new XmlSerializerNamespaces();
      prefix.Add("v", EM.Namespace);
      using (var writer = new XmlTextWriter(stream, Encoding.UTF8)) Serializer(o).Serialize(writer, o, prefix);
    } },
  };

  public static readonly string[] NotUtf8 = { "XmlWriter in Latin 1", "XmlWriter in UTF-16", "Serialize(StringWriter)" };

  public static Written Write(string writer, object o) {
    var stream = new MemoryStream();
    string threw = null;
    try {
      All[writer](stream, o);
    } catch (Exception exception) {
      threw = (exception.InnerException ?? exception).GetType().Name;
    }
    return new Written { Body = stream.ToArray(), Threw = threw };
  }

  // What .NET itself reads; null if it refuses the document.
  public static object Read(Type type, byte[] body) {
    var settings = new XmlReaderSettings { CheckCharacters = false };
    try {
      using (var reader = XmlReader.Create(new MemoryStream(body), settings))
        return new XmlSerializer(type).Deserialize(reader);
    } catch (Exception) {
      return null;
    }
  }

  static readonly Dictionary<Type, XmlSerializer> serializers = new Dictionary<Type, XmlSerializer>();

  static XmlSerializer Serializer(object o) {
    lock (serializers) {
      XmlSerializer serializer;
      if (!serializers.TryGetValue(o.GetType(), out serializer))
        serializers[o.GetType()] = serializer = new XmlSerializer(o.GetType());
      return serializer;
    }
  }

  static void With(XmlWriter writer, object o) {
    using (writer) Serializer(o).Serialize(writer, o);
  }

  static Action<Stream, object> Create(Action<XmlWriterSettings> set, Encoding encoding = null) {
    var settings = new XmlWriterSettings { Encoding = encoding ?? new UTF8Encoding(false) };
    set(settings);
    return (stream, o) => With(XmlWriter.Create(stream, settings), o);
  }
}
