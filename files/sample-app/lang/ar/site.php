<?php

return [
    'title' => 'منصة إتقان',
    'welcome' => 'التطبيق التجريبي يعمل.',
    'release' => 'الإصدار',
    'visits' => 'الزيارات المسجلة',
    'none' => 'لا شيء بعد',
    'tenant' => 'المؤسسة: :name',
    'files' => 'الملفات',
    'other_language' => 'English',
];
