// The values as JSON, with each character beyond ASCII as its code unit, so that nothing is lost on this way.
using System;
using System.Collections;
using System.Linq;
using System.Reflection;
using System.Text;
using System.Xml;
using System.Xml.Serialization;

public static class Json {
  public static void Append(StringBuilder json, object value) {
    if (value == null) {
      json.Append("null");
    } else if (value is string) {
      json.Append('"');
      foreach (var c in (string)value)
        if (c < ' ' || c > '~' || c == '"' || c == '\\') json.Append("\\u").Append(((int)c).ToString("x4"));
        else json.Append(c);
      json.Append('"');
    } else if (value is bool) {
      json.Append((bool)value ? "true" : "false");
    } else if (value is DateTime) {
      var time = (DateTime)value;
      // Without a zone, UTC is meant.
      var universal = time.Kind == DateTimeKind.Local ? time.ToUniversalTime() : time;
      var text = XmlConvert.ToString(time, XmlDateTimeSerializationMode.RoundtripKind);
      json.Append("{\"ticks\":").Append(universal.Ticks).Append(",\"text\":\"").Append(text).Append("\"}");
    } else if (value is Guid) {
      Append(json, value.ToString());
    } else if (value is byte[]) {
      Append(json, Convert.ToBase64String((byte[])value));
    } else if (value is IEnumerable) {
      json.Append('[');
      foreach (var item in (IEnumerable)value) {
        Append(json, item);
        json.Append(',');
      }
      End(json, ']');
    } else if (value.GetType().IsPrimitive) {
      json.Append(Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture));
    } else {
      json.Append('{');
      foreach (var field in value.GetType().GetFields(BindingFlags.Public | BindingFlags.Instance))
        Member(json, field.Name, field.GetValue(value));
      foreach (var property in value.GetType().GetProperties()) {
        object member = null;
        try {
          member = property.GetValue(value);
        } catch (TargetInvocationException) { } // the property that throws
        Member(json, property.Name, member);
      }
      End(json, '}');
    }
  }

  static void Member(StringBuilder json, string name, object value) {
    json.Append('"').Append(name).Append("\":");
    Append(json, value);
    json.Append(',');
  }

  static void End(StringBuilder json, char close) {
    if (json[json.Length - 1] == ',') json.Length--;
    json.Append(close);
  }
}
