"""Words that neutral names and texts are made of."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ARABIC_FIRST = _words(
    """
    أحمد إبراهيم أسامة أنس إياد باسل بدر بلال تركي ثامر جابر حازم حسام حمزة خالد رامي زياد سامي سعد
    سلمان سيف صالح طارق عادل عاصم عامر عمر فارس فهد قاسم ماجد مازن مالك مروان معاذ منذر ناصر نبيل هشام
    وليد ياسر يوسف أمل أسماء إيمان بشرى تهاني جميلة حنان خديجة دعاء رانيا ريم زينب سارة سلمى سمية شيماء
    عائشة عبير فاطمة ليلى مريم منى نجلاء نورة هالة هدى وفاء ياسمين
    """
)
ARABIC_LAST = _words(
    """
    البحيري التميمي الجندي الحارثي الخطيب الدوسري الراشد الزهراني السالم الشمري الصالح الطيب العتيبي
    الغامدي الفارس القاضي الكردي المالكي النجار الهاشمي الوزان اليماني البنا الحداد الخياط الدباغ
    الرفاعي الزين السعدي الشافعي الصباغ الطحان العمري الغزالي الفقيه القحطاني الكاتب المصري النعيمي
    الهلالي
    """
)
LATIN_FIRST = _words(
    """
    Adam Alan Amin Anna Basil Clara Daniel Dina Elias Emma Farid Felix Grace Hanna Hugo Ida Ivan Jana
    Jonas Karim Karl Laila Lena Leo Maya Mira Mona Nadia Nils Nora Olga Omar Oscar Paula Rami Rita Rosa
    Salma Sami Simon Sofia Tamer Tara Theo Vera Yara Zain Zoe
    """
)
LATIN_LAST = _words(
    """
    Abbot Ahlers Archer Aziz Baker Barakat Becker Bishop Carter Cooper Darwish Dyer Fahmy Farmer Fisher
    Foster Gardner Haddad Hamdan Hunter Jaber Keller Khoury Lang Mansour Mason Miller Nassar Parker
    Porter Qasim Rahal Sawyer Shaheen Smith Tanner Taylor Turner Walker Weber Yusuf Zidan
    """
)
ARABIC_TEXT = "هذا نص محايد يحل محل ما كتبه شخص في الأصل ولا معنى له سوى أن له الطول نفسه. "
LATIN_TEXT = "This neutral text stands where a person wrote something else, and only its length is the same. "
